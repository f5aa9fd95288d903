"""Exported archives, opened by the libraries whose formats they are."""

from itertools import pairwise

import numpy as np
import pytest

import log_files
from ataraxis_data_structures import LogArchiveReader, export_archive

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


def test_other_formats_are_refused(archive, tmp_path):
    with pytest.raises(ValueError, match="expected a destination ending in"):
        export_archive(archive, tmp_path / "out.csv")
