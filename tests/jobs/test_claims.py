"""Jobs handed out, executors that die, and what is remembered of each attempt."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ataraxis_data_structures import Attempt, ProcessingStatus, ProcessingTracker, TrackerError
from ataraxis_data_structures.jobs import lease

SCHEDULED, RUNNING, SUCCEEDED, FAILED = ProcessingStatus


@pytest.fixture(params=[3, 200], ids=["one page", "many pages"])
def tracker(tmp_path, request):
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    tracker.initialize_jobs([("job", f"session_{i}") for i in range(request.param)])
    return tracker


def elsewhere(monkeypatch, name="another-host"):
    monkeypatch.setattr(lease, "this_machine", lambda: name)


def child(tracker, deed):
    code = f"""
import sys, time
from pathlib import Path
from ataraxis_data_structures import ProcessingTracker
tracker = ProcessingTracker(Path({str(tracker.file_path)!r}))
ids = list(tracker.snapshot())
print({deed}, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def end(process, number=signal.SIGKILL):
    process.send_signal(number)
    process.wait()
    process.stdout.close()


def test_jobs_are_handed_out_in_their_order_until_none_is_left(tracker):
    ids = list(tracker.snapshot())
    tracker.complete_job(ids[1])
    assert [tracker.claim("me") for _ in ids] == [ids[0], *ids[2:], None]
    assert tracker.get_job_info(ids[0]).executor_id == "me"
    tracker.reset_jobs([ids[-1], ids[1]])
    assert [tracker.claim(), tracker.claim(), tracker.claim()] == [ids[1], ids[-1], None]
    assert tracker.get_job_info(ids[1]).executor_id == f"pid:{os.getpid()}"


def test_running_a_claimed_job_does_not_start_it_again(tracker):
    job_id = tracker.claim("me")
    with tracker.run_job(job_id):
        pass
    assert tracker.get_job_info(job_id).executor_id == "me"
    assert [a.status for a in tracker.get_attempts(job_id)] == [SUCCEEDED]


@pytest.mark.parametrize("deed", ["tracker.claim('worker')", "tracker.start_job(ids[0]) or ids[0]"])
def test_the_kernel_says_that_an_executor_of_this_host_is_dead(tracker, deed):
    process, job_id = child(tracker, deed)
    try:
        assert tracker.find_abandoned() == []
        process.send_signal(signal.SIGSTOP)  # a process that only stands still is not dead
        assert tracker.reschedule_abandoned() == []
    finally:
        end(process)
    assert tracker.find_abandoned() == [job_id]
    assert tracker.reschedule_abandoned() == [job_id]
    assert tracker.get_job_status(job_id) is SCHEDULED
    assert tracker.find_abandoned() == []
    (attempt,) = tracker.get_attempts(job_id)
    assert (attempt.status, attempt.error_message) == (FAILED, "abandoned by its executor")
    assert tracker.claim() == job_id


def test_a_zombie_is_dead(tracker):
    process, job_id = child(tracker, "tracker.claim()")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert tracker.find_abandoned() == [job_id]
    end(process)


def test_another_process_with_the_same_pid_is_not_the_executor(tracker):
    job_id = tracker.claim()
    path = tracker.file_path.parent / "t.yaml.axds" / "attempts"
    event = json.loads(path.read_text())
    event["owner"]["began"] += 1
    path.write_text(json.dumps(event) + "\n")
    assert tracker.find_abandoned() == [job_id]


def test_a_job_with_an_executor_of_the_caller_s_choice_is_never_abandoned(tracker):
    process, _ = child(tracker, "tracker.start_job(ids[0], 'slurm_1')")
    end(process)
    assert tracker.find_abandoned() == []


def test_on_another_host_only_the_lease_counts(tracker, monkeypatch):
    with monkeypatch.context() as patch:
        elsewhere(patch)
        job_id = tracker.claim("there", lease_s=0.2)
        (lease,) = [p for p in (tracker.file_path.parent / "t.yaml.axds" / "leases").iterdir() if p.name != "clock"]
    assert tracker.find_abandoned() == []
    os.utime(lease, (time.time() - 0.1,) * 2)
    assert tracker.find_abandoned() == []
    os.utime(lease, (time.time() - 10,) * 2)
    assert tracker.find_abandoned() == [job_id]
    with monkeypatch.context() as patch:
        elsewhere(patch)
        tracker.renew_lease(lease_s=0.2)
        assert tracker.find_abandoned() == []
    os.utime(lease, (time.time() - 10,) * 2)
    assert tracker.reschedule_abandoned() == [job_id]
    with monkeypatch.context() as patch:
        elsewhere(patch)
        with pytest.raises(TrackerError, match="given to None"):
            tracker.complete_job(job_id)


def test_attempts_are_remembered_with_times_host_and_error(tracker):
    job_id = next(iter(tracker.snapshot()))
    tracker.start_job(job_id, "first")
    tracker.fail_job(job_id, "boom: \u00e9\n")
    tracker.retry_failed_jobs()
    assert tracker.claim("second") == job_id
    first, second = tracker.get_attempts(job_id)
    info = tracker.get_job_info(job_id)
    assert second == Attempt(job_id, 2, "second", os.uname().nodename, RUNNING, info.started_at)
    assert (first.number, first.executor_id) == (1, "first")
    assert (first.status, first.error_message) == (FAILED, "boom: \u00e9\n")
    assert first.started_at <= first.completed_at <= second.started_at
    tracker.complete_job(job_id)
    assert tracker.get_attempts(job_id)[1].completed_at == tracker.get_job_info(job_id).completed_at


def test_a_torn_line_of_the_attempts_costs_that_line_only(tracker):
    first, second = list(tracker.snapshot())[:2]
    tracker.start_job(first, "a")
    path = tracker.file_path.parent / "t.yaml.axds" / "attempts"
    with path.open("ab") as file:
        file.write(b'{"job":"' + second.encode()[:5])
    tracker.start_job(second, "b")
    assert [tracker.get_attempts(i)[0].executor_id for i in (first, second)] == ["a", "b"]


def test_an_end_without_a_beginning_of_ours_is_not_pinned_on_an_older_attempt(tracker):
    job_id = next(iter(tracker.snapshot()))
    tracker.start_job(job_id, "ours")
    tracker.fail_job(job_id, "ours")
    tracker.reset_jobs([job_id])
    tracker.complete_job(job_id)  # never started
    assert [(a.status, a.error_message) for a in tracker.get_attempts(job_id)] == [(FAILED, "ours")]
