"""Exported archives, opened by the libraries whose formats they are."""

import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import log_files
from ataraxis_data_structures import LogArchiveReader, LogSession, assemble_log_archives, export_archive
from ataraxis_data_structures.logs.sessions import write_record

pq = pytest.importorskip("pyarrow.parquet")
h5py = pytest.importorskip("h5py")
mcap_reader = pytest.importorskip("mcap.reader")

MESSAGES = [(at, list(range(at % 7))) for at in range(1, 9000)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return log_files.session_archive(tmp_path_factory.mktemp("log") / "1_log.npz", MESSAGES)


def test_parquet(archive, tmp_path):
    export_archive(archive, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert [at - log_files.ONSET for at in table["timestamp_us"].to_pylist()] == [at for at, _ in MESSAGES]
    assert [list(payload) for payload in table["payload"].to_pylist()] == [payload for _, payload in MESSAGES]
    assert table.schema.metadata == {b"onset_us": str(log_files.ONSET).encode(), b"source": b"1"}


def test_hdf5(archive, tmp_path):
    export_archive(LogArchiveReader(archive), tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        offsets, payloads = file["offsets"][:], file["payloads"][:]
        assert (file["timestamps_us"][:] - np.uint64(log_files.ONSET)).tolist() == [at for at, _ in MESSAGES]
        got = [payloads[a:b].tolist() for a, b in pairwise(offsets.tolist())]
        assert got == [payload for _, payload in MESSAGES]
        assert dict(file.attrs) == {"onset_us": log_files.ONSET, "source": "1"}


def test_mcap(archive, tmp_path):
    export_archive(archive, tmp_path / "out.mcap")
    with (tmp_path / "out.mcap").open("rb") as stream:
        found = [(channel, message) for _, channel, message in mcap_reader.make_reader(stream).iter_messages()]
    assert [(m.log_time // 1000 - log_files.ONSET, list(m.data)) for _, m in found] == MESSAGES
    assert found[0][0].metadata == {"onset_us": str(log_files.ONSET), "source": "1"}


@pytest.mark.parametrize("ending", ["parquet", "h5", "mcap"])
def test_memory_is_bounded_whatever_the_payloads(tmp_path, ending, rounds):
    """256 MiB of address space beyond the mapping and the libraries are enough for any number of large messages."""
    count = rounds(full=10_000, short=1200)
    archive = log_files.large_archive(tmp_path / "1_log.npz", count, 400_000)
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, archive, tmp_path / f"out.{ending}"],
        capture_output=True, text=True, check=False, env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"out.{ending}").stat().st_size > count * 1000


BOUNDED = """
import resource, sys
from pathlib import Path
import h5py, mcap.writer, pyarrow.parquet
from ataraxis_data_structures import export_archive
pyarrow.set_cpu_count(1)
pyarrow.set_io_thread_count(1)
source, target = map(Path, sys.argv[1:])
export_archive(source.with_name("2_log.npz"), target.with_name(f"warm{target.suffix}"))  # libraries, threads, arenas
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
bound = used + source.stat().st_size + 256 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
export_archive(source, target)
"""


def test_drops_and_sessions_are_in_the_metadata(tmp_path):
    log_files.save_session(tmp_path / "rig_data_log", 1, MESSAGES[:10])
    session = LogSession("00000000000000ab", "npy", 1, 2, "rig", {}, {"mouse": "m7"}, {1: 3})
    write_record(tmp_path / "rig_data_log", session)
    assemble_log_archives(tmp_path / "rig_data_log")
    archive = tmp_path / "rig_data_log" / "1_log.npz"
    for ending in ("parquet", "h5", "mcap"):
        export_archive(archive, tmp_path / f"out.{ending}")
    with h5py.File(tmp_path / "out.h5") as file:
        found = [(file.attrs["dropped"], file.attrs["sessions"])]
    facts = pq.read_table(tmp_path / "out.parquet").schema.metadata
    found.append((facts[b"dropped"].decode(), facts[b"sessions"].decode()))
    with (tmp_path / "out.mcap").open("rb") as stream:
        (channel,) = mcap_reader.make_reader(stream).get_summary().channels.values()
    found.append((channel.metadata["dropped"], channel.metadata["sessions"]))
    assert [(dropped, json.loads(sessions)[0]["metadata"]) for dropped, sessions in found] == [
        ("3", {"mouse": "m7"})
    ] * 3


def test_a_time_that_mcap_cannot_hold_is_refused(tmp_path):
    archive = log_files.session_archive(tmp_path / "1_log.npz", [(2**55, [1])])
    with pytest.raises(ValueError, match="before the year 2554"):
        export_archive(archive, tmp_path / "out.mcap")


def test_other_formats_are_refused(archive, tmp_path):
    with pytest.raises(ValueError, match="expected a destination ending in"):
        export_archive(archive, tmp_path / "out.txt")
