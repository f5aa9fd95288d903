"""Every scheduled job runs in some worker, those that fail again, whoever else maps the same tracker."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker, TrackerError

SCHEDULED, RUNNING, SUCCEEDED, FAILED = ProcessingStatus


@pytest.fixture(params=[3, 40], ids=["one page", "many pages"])
def tracker(tmp_path, request):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    tracker.initialize_jobs([("job", f"session_{i}") for i in range(request.param)])
    return tracker


def threads():
    return ThreadPoolExecutor(4)


def processes():
    return ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn"))


def note(folder, name, specifier):
    """Leave one line for each call."""
    with (Path(folder) / f"{name}-{specifier}").open("a") as file:
        file.write(f"{os.getpid()}\n")


def runs(folder):
    return {path.name: len(path.read_text().splitlines()) for path in folder.glob("job-*")}


@pytest.mark.parametrize("pool", [threads, processes])
def test_every_scheduled_job_runs_once(tracker, tmp_path, pool):
    first, *_ = tracker.snapshot()
    tracker.complete_job(first)
    with pool() as executor:
        done = tracker.map(executor, functools.partial(note, str(tmp_path)))
    states = tracker.snapshot()
    assert done == {job_id: state for job_id, state in states.items() if job_id != first}
    assert {state.status for state in states.values()} == {SUCCEEDED}
    assert runs(tmp_path) == {f"job-{state.specifier}": 1 for job_id, state in states.items() if job_id != first}


def fail_until(folder, good, name, specifier):
    note(folder, name, specifier)
    calls = len((Path(folder) / f"{name}-{specifier}").read_text().splitlines())
    if specifier != "session_0" and calls < good:
        raise KeyError(f"call {calls}")


@pytest.mark.parametrize(("good", "attempts", "status"), [(3, 3, SUCCEEDED), (9, 3, FAILED), (9, 1, FAILED)])
def test_a_job_that_fails_runs_again_so_often(tracker, tmp_path, good, attempts, status):
    with threads() as executor:
        done = tracker.map(executor, functools.partial(fail_until, str(tmp_path), good), max_attempts=attempts)
    for job_id, state in done.items():
        is_first = state.specifier == "session_0"
        assert state.status is (SUCCEEDED if is_first else status)
        assert (
            len(tracker.get_attempts(job_id))
            == runs(tmp_path)[f"job-{state.specifier}"]
            == (1 if is_first else attempts)
        )
        if state.status is FAILED:
            assert state.error_message == f"KeyError: 'call {attempts}'"
    assert tracker.map(threads(), functools.partial(note, str(tmp_path))) == {}  # what failed for good is not run


def leave(name, specifier):
    sys.exit(7)


def test_a_job_that_calls_sys_exit_has_failed(tracker):
    with threads() as executor:
        done = tracker.map(executor, leave, max_attempts=1)
    assert {(state.status, state.error_message) for state in done.values()} == {(FAILED, "SystemExit: 7")}


def kill_itself(folder, name, specifier):
    note(folder, name, specifier)
    if specifier == "session_1" and runs(Path(folder))["job-session_1"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_told_and_its_job_waits_for_the_next_executor(tracker, tmp_path):
    deed = functools.partial(kill_itself, str(tmp_path))
    with pytest.raises(BrokenProcessPool) as caught, processes() as executor:
        tracker.map(executor, deed)
    job_id = tracker.generate_job_id("job", "session_1")
    assert job_id in caught.value.__notes__[0]
    assert tracker.get_summary()[RUNNING] == 0
    assert tracker.get_job_status(job_id) is SCHEDULED
    with processes() as executor:
        assert job_id in tracker.map(executor, deed)
    assert tracker.complete


def test_several_callers_share_the_jobs(tracker, tmp_path):
    done = []

    def call():
        with threads() as executor:
            done.append(ProcessingTracker(tracker.file_path).map(executor, functools.partial(note, str(tmp_path))))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert Counter(job_id for each in done for job_id in each) == dict.fromkeys(tracker.snapshot(), 1)
    assert set(runs(tmp_path).values()) == {1}


def test_the_lease_of_a_long_job_is_renewed(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    tracker.initialize_jobs([("job", "")])
    seen = []

    def long_job(name, specifier):
        (lease,) = [path for path in (tmp_path / "t.yaml.axds" / "leases").iterdir() if path.name != "clock"]
        first = lease.stat().st_mtime_ns
        deadline = time.monotonic() + 30
        while lease.stat().st_mtime_ns == first and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(lease.stat().st_mtime_ns > first)

    with threads() as executor:
        tracker.map(executor, long_job, lease_s=0.3)
    assert seen == [True]


def test_a_job_that_was_given_to_another_meanwhile_stays_the_other_s(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    (job_id,) = tracker.initialize_jobs([("job", "")])

    def give_away(name, specifier):
        tracker.reset_jobs([job_id])
        tracker.start_job(job_id, "another")

    with threads() as executor:
        done = tracker.map(executor, give_away)
    assert (done[job_id].status, done[job_id].executor_id) == (RUNNING, "another")


def test_what_makes_no_sense_is_refused_and_a_damaged_file_ends_the_call(tmp_path):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    tracker.initialize_jobs([("job", str(i)) for i in range(3)])
    with ThreadPoolExecutor(1) as executor:
        for bad in ({"max_attempts": 0}, {"lease_s": 0}):
            with pytest.raises(ValueError, match="expected"):
                tracker.map(executor, note, **bad)

        def damage(name, specifier):
            tracker.file_path.write_text("jobs: [")

        with pytest.raises(TrackerError, match="expected YAML"):
            tracker.map(executor, damage)
