"""Assembly from journals, from files and journals, and after an assembly that was killed."""

import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import log_files
from ataraxis_data_structures import ArchiveError, LogArchiveReader, assemble_log_archives
from ataraxis_data_structures._core import frame
from ataraxis_data_structures.logs.assembly import publish
from ataraxis_data_structures.logs.journal import layout

ASSEMBLE = (
    "import sys; from pathlib import Path; import ataraxis_data_structures as a; "
    "a.assemble_log_archives(Path(sys.argv[1]))"
)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "rig_data_log"
    made.mkdir()
    return made


def write_journal(folder, messages, *, number=0, salt=7, first_seq=0):
    """Write a journal of (source, time, payload) records as a logger with storage `journal` leaves it."""
    header = layout.Header(0xFEED, number, salt, layout.JOURNAL, 1_700_000_000_000_000 + number, bytes(16))
    records = [
        frame.pack(salt, bytes(payload), source=source, time=time, seq=first_seq + seq, claim=1)
        for seq, (source, time, payload) in enumerate(messages)
    ]
    path = folder / header.name
    path.write_bytes(header.pack() + b"".join(records))
    return path


def session(source, messages):
    return [(source, 0, log_files.onset_payload()), *((source, time, payload) for time, payload in messages)]


def read(folder, source=1):
    reader = LogArchiveReader(folder / f"{source}_log.npz")
    return [(int(m.timestamp_us) - log_files.ONSET, m.payload.tolist()) for m in reader.iter_messages()]


def test_more_journals_than_descriptors_become_one_archive(folder):
    write_journal(folder, session(1, []))
    for number in range(1, 300):
        write_journal(folder, [(1, number, b"x")], number=number, first_seq=number)
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); "
    subprocess.run([sys.executable, "-c", few + ASSEMBLE, folder], check=True)
    assert read(folder) == [(number, list(b"x")) for number in range(1, 300)]


def test_journals_become_the_archives_that_files_become(folder, tmp_path):
    messages = session(1, [(30, [3]), (10, [1]), (10, [2]), (20, [])]) + session(200, [(5, [9])])
    write_journal(folder, messages[:4])
    write_journal(folder, messages[4:], number=1, first_seq=4)
    assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz", "200_log.npz"]
    want = tmp_path / "want"
    for source, at, payload in messages:
        repeat = int((source, at, payload) == (1, 10, [2]))
        log_files.save(want, source, at, payload, repeat)
    assemble_log_archives(want)
    for name in log_files.names(want):
        made = (folder / name).read_bytes()
        with zipfile.ZipFile(folder / name) as archive:
            members = made[: len(made) - len(archive.comment) - 2]  # behind it, the journal's session
        assert members == (want / name).read_bytes()[:-2]


def test_files_journals_and_an_archive_make_one_archive(folder):
    log_files.save_session(folder, 1, [(10, [1])])
    assemble_log_archives(folder)
    log_files.save(folder, 1, 10, [2])
    write_journal(folder, [(1, 10, [3]), (1, 5, [0])])
    assemble_log_archives(folder, verify_integrity=True)
    assert read(folder) == [(5, [0]), (10, [1]), (10, [2]), (10, [3])]
    assert log_files.names(folder) == ["1_log.npz"]


def test_kept_journals_are_not_archived_twice(folder):
    write_journal(folder, session(1, [(10, [1]), (10, [1])]))
    for _ in range(2):
        assemble_log_archives(folder, remove_sources=False)
    assemble_log_archives(folder)
    assert read(folder) == [(10, [1]), (10, [1])]
    assert log_files.names(folder) == ["1_log.npz"]


def test_a_damaged_journal_gives_what_is_whole_and_is_kept_aside(folder):
    path = write_journal(folder, session(1, [(10, [1] * 50), (20, [2] * 50), (30, [3])]))
    data = bytearray(path.read_bytes())
    data[data.index(b"\2" * 50)] ^= 1
    path.write_bytes(data)
    assemble_log_archives(folder)
    assert [at for at, _ in read(folder)] == [10, 30]
    assert log_files.names(folder) == ["1_log.npz", f"{path.name}.damaged"]
    assemble_log_archives(folder)
    assert [at for at, _ in read(folder)] == [10, 30]


def kill_at(folder, step):
    """Run an assembly that dies at a step of its publication."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from ataraxis_data_structures.logs.assembly import assemble, publish\n"
        f"def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n{step}\n"
        "assemble.assemble_log_archives(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], check=False)
    assert done.returncode == -signal.SIGKILL


STEPS = {
    "before the marker": "publish._write_marker = die",
    "before the rename": "publish._put_in_place = die",
    "before the removal": "publish._remove = die",
    "in the removal": "def some(folder, rows, *_): publish.npz.unlink_members(folder, rows, 0, 15); die()\n"
    "publish._remove_members = some",
}


@pytest.mark.parametrize("step", STEPS)
def test_an_assembly_that_was_killed_is_finished_by_the_next(folder, step):
    log_files.save_session(folder, 1, [(time, [time]) for time in range(1, 30)])
    write_journal(folder, [(1, 40, [40])])
    kill_at(folder, STEPS[step])
    assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz"]
    assert read(folder) == [(time, [time]) for time in [*range(1, 30), 40]]


def test_files_that_a_session_wrote_after_the_kill_are_new(folder):
    log_files.save_session(folder, 1, [(time, [time]) for time in range(1, 30)])
    kill_at(folder, STEPS["in the removal"])
    left = log_files.names(folder)
    gone, there = log_files.name_of(1, 5), log_files.name_of(1, 25)
    assert f"{gone}.npy" not in left
    assert f"{there}.npy" in left
    time.sleep(0.02)  # the clock of the file system ticks in steps
    log_files.save(folder, 1, 5, [5])
    log_files.save(folder, 1, 25, [99])
    assemble_log_archives(folder)
    got = read(folder)
    assert got.count((5, [5])) == 2
    assert got.count((25, [25])) == got.count((25, [99])) == 1
    assert len(got) == 31


def test_a_new_onset_in_a_name_that_was_free_is_not_removed(folder):
    log_files.save_session(folder, 1, [(time, [time]) for time in range(1, 30)])
    kill_at(folder, STEPS["in the removal"])
    log_files.save(folder, 1, 0, log_files.onset_payload(log_files.ONSET + 5))
    os.utime(folder / f"{log_files.name_of(1, 0)}.npy", (0, 0))  # as after a clock that went back
    with pytest.warns(UserWarning, match="several sessions"):
        assemble_log_archives(folder)
    assert log_files.names(folder) == ["1_log.npz"]
    assert log_files.names(folder.with_name("rig_2_data_log")) == ["1_log.npz"]


def test_nothing_is_removed_if_the_archive_is_not_the_one_that_was_written(folder):
    log_files.save_session(folder, 1, [(10, [1])])
    kill_at(folder, STEPS["before the removal"])
    (folder / "1_log.npz").write_bytes(b"another")
    present = log_files.names(folder)
    with pytest.raises(ArchiveError, match="not the archive"):
        assemble_log_archives(folder)
    assert log_files.names(folder) == present


def test_a_damaged_marker_removes_nothing(folder):
    log_files.save_session(folder, 1, [(10, [1])])
    kill_at(folder, STEPS["before the removal"])
    marker = folder / publish.MARKER
    marker.write_bytes(marker.read_bytes()[:-4])
    present = log_files.names(folder)
    with pytest.raises(ArchiveError, match="damaged"):
        assemble_log_archives(folder)
    assert log_files.names(folder) == present


def test_two_assemblies_at_once_do_the_work_once(folder):
    log_files.save_session(folder, 1, [(at, [at % 256]) for at in range(1, 2000)])
    children = [subprocess.Popen([sys.executable, "-c", ASSEMBLE, folder]) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert log_files.names(folder) == ["1_log.npz"]
    assert len(read(folder)) == 1999


def test_assembly_works_with_few_descriptors(folder):
    for source in range(20):
        log_files.save_session(folder, source, [(at, [at]) for at in range(1, 60)])
    subprocess.run(["bash", "-c", f"ulimit -n 32; exec {sys.executable} -c '{ASSEMBLE}' {folder}"], check=True)
    assert log_files.names(folder) == sorted(f"{source}_log.npz" for source in range(20))


def test_a_full_disk_leaves_the_sources_untouched(folder):
    log_files.save_session(folder, 1, [(at, bytes(3000)) for at in range(1, 200)])
    present = log_files.names(folder)
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)); {ASSEMBLE}"
    done = subprocess.run([sys.executable, "-c", code, folder], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "OSError" in done.stderr
    assert log_files.names(folder) == present
    assert np.load(folder / present[1]).size == 3009
