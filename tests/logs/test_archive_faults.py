"""What stands in the way of an assembly: a clear error, and sources and archives as they were."""

import errno
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import log_files
from ataraxis_data_structures import ArchiveError, LogArchiveReader, assemble_log_archives

MESSAGES = [(at, [at % 256] * 50) for at in range(1, 30)]

# Says which error an assembly ended with.
ASSEMBLE = """
import sys
from pathlib import Path
from ataraxis_data_structures import assemble_log_archives
try:
    assemble_log_archives(Path(sys.argv[1]), remove_sources=len(sys.argv) < 3)
except OSError as error:
    print(type(error).__name__, error.errno, error.filename)
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "rig_data_log"
    log_files.save_session(made, 1, MESSAGES)
    log_files.save_session(made, 2, MESSAGES)
    return made


def state(folder):
    """Return every name with its bytes."""
    return {path.name: path.is_file() and path.read_bytes() for path in folder.iterdir()}


def powerless():
    """Words before a command that take root's power over others' files away."""
    return [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.parametrize("name", [f"{log_files.name_of(2, 7)}.npy", "2_log.npz"])
def test_a_file_that_may_not_be_read_is_named_and_nothing_changed(folder, name):
    log_files.session_archive(folder / "2_log.npz", MESSAGES, source=2)
    hidden = folder / name
    before = state(folder)
    hidden.chmod(0)
    done = subprocess.run(
        [*powerless(), sys.executable, "-c", ASSEMBLE, folder], check=True, capture_output=True, text=True
    )
    hidden.chmod(0o644)
    kind, number, path = done.stdout.split()
    assert (kind, int(number), path.rpartition("/")[2]) == ("PermissionError", errno.EACCES, name)
    assert state(folder) == before


@pytest.mark.parametrize("name", ["003_00000000000000000005.npy", "1_5.npy", "2_log.npz"])
def test_a_pipe_is_refused_and_not_waited_for(folder, name):
    os.mkfifo(folder / name)
    present = log_files.names(folder)
    with pytest.raises(ArchiveError, match=name):
        assemble_log_archives(folder)
    assert log_files.names(folder) == present


def test_a_pipe_named_as_a_journal_is_no_journal(folder):
    os.mkfifo(folder / "journal-000000000000feed-0000.axj")
    assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz", "2_log.npz", "journal-000000000000feed-0000.axj"]


ON_A_SMALL_DISK = """
import errno, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import log_files
from ataraxis_data_structures import LogArchiveReader, assemble_log_archives
folder = Path(sys.argv[1]) / "log"
for source in (1, 2):
    log_files.save_session(folder, source, [(at, [at] * 3000) for at in range(1, 100)])
before = {path.name: path.read_bytes() for path in folder.iterdir()}
try:
    assemble_log_archives(folder)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
else:
    raise AssertionError("a full disk was not noticed")
assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
os.system(f"mount -o remount,size=64m {sys.argv[1]}")
assemble_log_archives(folder, verify_integrity=True)
assert log_files.names(folder) == ["1_log.npz", "2_log.npz"]
for source in (1, 2):
    got = [message.payload.tobytes() for message in LogArchiveReader(folder / f"{source}_log.npz").iter_messages()]
    assert got == [bytes([at] * 3000) for at in range(1, 100)]
"""


@pytest.mark.parametrize("size", ["1300k", "1000k"], ids=["in the second archive", "in the first archive"])
def test_a_disk_that_fills_leaves_all_as_it_was_and_the_next_call_does_the_work(tmp_path, size):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    script = f'mount -t tmpfs -o size={size} tmpfs "$1" && exec "$0" -c "$2" "$1" "$3"'
    tests = os.path.dirname(log_files.__file__)
    done = subprocess.run(
        [*command, script, sys.executable, disk, ON_A_SMALL_DISK, tests], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def of_documents(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("word/document.xml", "<w:document/>" * 30)


def of_bytes_in_a_stream(path):
    """As programs write that can't go back in their output: sizes stand behind the members."""

    class Pipe:
        def __init__(self, file):
            self.write = file.write
            self.flush = file.flush

    with path.open("wb") as stream, zipfile.ZipFile(Pipe(stream), "w") as file:
        for at, payload in [(0, log_files.onset_payload()), (3, [3])]:
            with file.open(f"{log_files.name_of(1, at)}.npy", "w") as entry:
                np.save(entry, log_files.stored(1, at, payload))


FOREIGN = {
    "documents": of_documents,
    "arrays of another shape": lambda path: np.savez(path, positions=np.zeros((5, 3)), times=np.arange(5.0)),
    "objects": lambda path: np.savez(path, **{log_files.name_of(1, 3): np.array([{}], dtype=object)}),
    "no archive": lambda path: path.write_bytes(b"\x1f\x8b" + bytes(100)),
    "an empty file": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_an_archive_of_another_program_is_named_and_left_alone(folder, make):
    path = folder / "1_log.npz"
    make(path)
    with pytest.raises(ArchiveError, match=r"1_log\.npz"):
        list(LogArchiveReader(path, 0).iter_messages())
    before = state(folder)
    with pytest.raises(ArchiveError, match=r"1_log\.npz|archive of source 1"):
        assemble_log_archives(folder)
    assert state(folder) == before


def test_an_archive_that_was_written_into_a_stream_is_read_and_merged_with(tmp_path):
    path = tmp_path / "1_log.npz"
    of_bytes_in_a_stream(path)
    assert [message.payload.tolist() for message in LogArchiveReader(path).iter_messages()] == [[3]]
    log_files.save(tmp_path, 1, 2, [2])
    assemble_log_archives(tmp_path, verify_integrity=True)
    assert [message.payload.tolist() for message in LogArchiveReader(path).iter_messages()] == [[2], [3]]
