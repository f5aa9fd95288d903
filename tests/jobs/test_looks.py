"""Questions need no right to write and leave nothing; what is refused, or fails, leaves no trace."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker, TrackerError
from ataraxis_data_structures.jobs import lease, lock

SCHEDULED, RUNNING, SUCCEEDED, FAILED = ProcessingStatus


@pytest.fixture(params=[3, 200], ids=["one page", "many pages"])
def tracker(tmp_path, request):
    folder = tmp_path / "shared"
    folder.mkdir()
    tracker = ProcessingTracker(folder / "t.yaml")
    ids = tracker.initialize_jobs([("job", f"session_{i}") for i in range(request.param)])
    tracker.start_job(ids[0])
    tracker.fail_job(ids[1], "x")
    return tracker


def questions(tracker):
    job_id = next(iter(tracker.snapshot()))
    return [
        tracker.snapshot(), tracker.summarize(), tracker.get_summary(), tracker.find_jobs("job"), tracker.complete,
        tracker.get_job_info(job_id), tracker.get_attempts(job_id), tracker.find_abandoned(), tracker.jobs,
        tracker.get_jobs_by_status("FAILED"), ProcessingTracker.from_yaml(tracker.file_path).jobs,
        ProcessingTracker.from_yaml(tracker.file_path, strict=True).jobs,
    ]  # fmt: skip


def tree(folder):
    """Every file with its bytes and the time of its last change."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in files]


@pytest.mark.parametrize("alone", [False, True], ids=["with its folder", "the file alone"])
def test_a_question_writes_nothing(tracker, alone):
    folder = tracker.file_path.parent
    if alone:
        (folder / "t.yaml.lock").unlink()
        shutil.rmtree(folder / "t.yaml.axds")
    before = tree(folder)
    questions(tracker)
    assert tree(folder) == before


@contextmanager
def another_user(folder):
    """Be nobody for a while, where the tests run as root."""
    is_root = os.geteuid() == 0
    if is_root:
        for parent in folder.parents:  # pytest's own folders are closed to others
            if parent.stat().st_mode & 0o055 != 0o055:
                parent.chmod(parent.stat().st_mode | 0o055)
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("alone", [False, True], ids=["with its folder", "the file alone"])
def test_another_user_and_a_folder_without_the_right_to_write_may_look(tracker, alone):
    folder = tracker.file_path.parent
    job_id = next(iter(tracker.snapshot()))
    if alone:
        (folder / "t.yaml.lock").unlink()
        shutil.rmtree(folder / "t.yaml.axds")
    before = tree(folder)
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    want = questions(tracker)
    with another_user(folder):
        assert questions(tracker) == want
        for deed in (
            tracker.claim,
            lambda: tracker.start_job(job_id, "me"),
            tracker.reschedule_abandoned,
            tracker.reset,
        ):
            with pytest.raises(PermissionError):
                deed()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert tree(folder) == before


def test_a_look_waits_for_a_change_and_a_change_for_a_look(tracker, monkeypatch):
    monkeypatch.setattr(lock, "TIMEOUT_S", 0.1)
    with FileLock(tracker.lock_path), pytest.raises(Timeout):
        tracker.snapshot()
    (job_id, *_) = tracker.snapshot()
    with lock.for_look(tracker.lock_path), pytest.raises(Timeout):
        tracker.start_job(job_id)


def test_a_lock_file_that_its_holder_removes_is_not_taken_for_the_lock(tracker):
    held, released = threading.Event(), threading.Event()

    def hold():
        with FileLock(tracker.lock_path, thread_local=False):
            held.set()
            released.wait(10)
            Path(tracker.lock_path).unlink()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.05, released.set).start()
    with lock.for_look(tracker.lock_path) as is_locked:
        assert not is_locked  # the file is gone: what was waited for keeps nobody out
    holder.join()


def test_without_a_lock_a_look_meets_whole_states_only(tracker, tmp_path):
    """A host whose lock nobody sees changes the file in place, again and again."""
    ids = list(tracker.snapshot())
    stop = threading.Event()
    other = ProcessingTracker(tracker.file_path)
    other.lock_path = str(tmp_path / "elsewhere.lock")
    Path(tracker.lock_path).unlink()

    def change():
        while not stop.is_set():
            other.start_job(ids[-1], "me")
            other.fail_job(ids[-1], "e" * 60)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(100):
            assert tracker.get_job_info(ids[-1]).status in (RUNNING, FAILED, SCHEDULED)
            assert sum(tracker.get_summary().values()) == len(ids)
    finally:
        stop.set()
        changer.join()


@pytest.mark.parametrize("bad", [12345, 1.5, b"me", ["me"], object()])
def test_a_refused_call_leaves_no_trace(tmp_path, bad):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    (job_id,) = tracker.initialize_jobs([("job", "")])
    before = tree(tmp_path)
    for deed in (
        lambda: tracker.start_job(job_id, bad),
        lambda: tracker.start_job(bad),
        lambda: tracker.claim(bad),
        lambda: tracker.fail_job(job_id, bad),
        lambda: tracker.fail_job(bad),
        lambda: tracker.complete_job(bad),
        lambda: tracker.run_job(job_id, bad).__enter__(),
        lambda: tracker.reset_jobs([bad]),
        lambda: tracker.initialize_jobs([("new", ""), ("x", bad)]),
        lambda: tracker.align_jobs([(bad, "")]),
        lambda: tracker.get_job_info(bad),
        lambda: tracker.get_attempts(bad),
    ):
        with pytest.raises(TypeError, match="expected text"):
            deed()
    for lease_s in (0, -1, float("nan"), float("inf"), "5", True):
        for deed in (tracker.claim, tracker.renew_lease):
            with pytest.raises(ValueError, match="lease_s"):
                deed(lease_s=lease_s)
    assert tree(tmp_path) == before
    assert tracker.get_attempts(job_id) == []
    assert tracker.claim("me") == job_id


class BrokenError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class NothingError(Exception):
    def __str__(self):
        return None  # noqa: PLE0307 - such is what is tried


class EndlessError(Exception):
    def __str__(self):
        return str(self)


@pytest.mark.parametrize("kind", [BrokenError, NothingError, EndlessError])
def test_a_job_fails_also_by_an_exception_that_cannot_be_printed(tracker, kind):
    (job_id, *_) = tracker.get_jobs_by_status(SCHEDULED)
    with pytest.raises(kind), tracker.run_job(job_id):
        raise kind
    info = tracker.get_job_info(job_id)
    assert info.status is FAILED
    assert info.error_message.startswith(f"{kind.__name__}, whose text cannot be made")


def test_the_caller_sees_the_job_s_own_exception_also_when_the_tracker_cannot_be_written(tracker):
    (job_id, *_) = tracker.get_jobs_by_status(SCHEDULED)
    with pytest.raises(KeyError, match="mine") as caught, tracker.run_job(job_id):  # noqa: PT012 - the body is the job
        tracker.file_path.write_text("rubbish")
        raise KeyError("mine")
    assert "the tracker does not know" in caught.value.__notes__[0]


def test_str_paths_are_taken_wherever_paths_are(tmp_path):
    path = tmp_path / "t.yaml"
    tracker = ProcessingTracker(str(path))
    assert (tracker.file_path, tracker.lock_path) == (path, f"{path}.lock")
    (job_id,) = tracker.initialize_jobs([("job", "")])
    assert tracker == ProcessingTracker.from_yaml(str(path)) == ProcessingTracker.from_yaml(str(path), strict=True)
    tracker.to_yaml(str(tmp_path / "copy.yaml"))
    assert ProcessingTracker(str(tmp_path / "copy.yaml")).snapshot() == tracker.snapshot()
    found = ProcessingTracker.discover(str(tmp_path), "t.yaml")
    assert [each.file_path for each in found] == [path]
    tracker.start_job(job_id)
    path.write_text("rubbish")
    assert tracker.restore() == tmp_path / "t.yaml.damaged"


# ---- a file that vanishes


def test_a_file_that_vanishes_is_told_with_its_last_good_state(tracker):
    ids, want = list(tracker.snapshot()), tracker.snapshot()
    tracker.file_path.unlink()
    for deed in (
        tracker.snapshot, tracker.summarize, tracker.get_summary, tracker.find_abandoned, tracker.claim,
        tracker.retry_failed_jobs, tracker.reschedule_abandoned, lambda: tracker.complete,
        lambda: tracker.complete_job(ids[0]), lambda: tracker.start_job(ids[2]), lambda: tracker.reset_jobs(ids),
        lambda: tracker.get_job_info(ids[0]),
    ):  # fmt: skip
        with pytest.raises(TrackerError, match=rf"removed or renamed.*{len(ids)} jobs.*axds/last.*restore\(\)"):
            deed()
    assert not tracker.file_path.exists()
    assert tracker.restore() is None
    assert tracker.snapshot() == want
    tracker.complete_job(ids[0])


def test_who_removed_the_file_to_begin_anew_may_and_the_last_state_is_kept(tracker, caplog):
    ids = list(tracker.snapshot())
    tracker.file_path.unlink()
    assert tracker.initialize_jobs([("job", "session_1")]) == [ids[1]]
    assert tracker.get_job_status(ids[1]) is SCHEDULED
    kept = tracker.file_path.parent / "t.yaml.axds" / "lost"
    assert str(kept) in caplog.text
    assert f"{len(ids)} jobs" in caplog.text
    shutil.copy(kept, tracker.file_path.parent / "former.yaml")
    former = ProcessingTracker(tracker.file_path.parent / "former.yaml")
    assert former.get_job_status(ids[1]) is FAILED
    assert len(former.snapshot()) == len(ids)


def test_a_job_whose_file_vanishes_meanwhile_fails_with_its_own_exception(tracker):
    (job_id, *_) = tracker.get_jobs_by_status(SCHEDULED)
    with pytest.raises(KeyError), tracker.run_job(job_id):  # noqa: PT012 - the body is the job
        tracker.file_path.unlink()
        raise KeyError
    with pytest.raises(TrackerError, match="removed or renamed"), tracker.run_job(job_id):
        raise AssertionError("a job of a vanished tracker began")


# ---- who is alive


def test_a_new_name_of_the_host_takes_no_job_and_no_lease(tracker, monkeypatch):
    job_id = tracker.claim(lease_s=0.05)
    leases = tracker.file_path.parent / "t.yaml.axds" / "leases"
    names = sorted(path.name for path in leases.iterdir())
    time.sleep(0.1)
    monkeypatch.setattr(lease.socket, "gethostname", lambda: "renamed")
    assert tracker.find_abandoned() == tracker.reschedule_abandoned() == []
    tracker.renew_lease(lease_s=0.05)
    assert sorted(path.name for path in leases.iterdir() if path.name != "clock") == names
    tracker.complete_job(job_id)


def test_a_living_process_of_another_user_is_alive_also_where_proc_hides_it(monkeypatch):
    monkeypatch.setattr(lease, "start_time", lambda _: 0)

    def refuse(*_):
        raise PermissionError("another user's")

    for has_pidfd in (True, False):
        if not has_pidfd:
            monkeypatch.delattr(lease.os, "pidfd_open")
            monkeypatch.setattr(lease.os, "kill", refuse)
        assert lease.life_of(lease.this_process() | {"began": 5}) is lease.Life.ALIVE


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_an_ended_process_a_zombie_and_another_of_its_pid_are_dead(monkeypatch, has_pidfd):
    if not has_pidfd:
        monkeypatch.delattr(lease.os, "pidfd_open")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = {"machine": lease.this_machine(), "pid": child.pid, "began": lease.start_time(child.pid)}
    assert lease.life_of(owner) is lease.Life.ALIVE
    assert lease.life_of(owner | {"began": owner["began"] - 1}) is lease.Life.DEAD
    assert lease.life_of(owner | {"machine": "another"}) is lease.Life.UNKNOWN
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert lease.life_of(owner) is lease.Life.DEAD
    child.wait()
    assert lease.life_of(owner) is lease.Life.DEAD
