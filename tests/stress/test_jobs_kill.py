"""SIGKILL at random moments: the file always loads, no acknowledged change is lost, the lock is never stuck."""

import json
import multiprocessing
import os
import random
import signal
import time

import pytest
import yaml

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker

WORKERS = 4
PAGE = 4096  # up to here the file is rewritten in place as a whole, above one page of it
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def worker(path, log_path, ids, seed, lengths):
    """Change its own jobs for ever; every deed is noted before it begins and after it returned."""
    chance, tracker = random.Random(seed), ProcessingTracker(path)
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND)
    for number in range(seed * 1_000_000, (seed + 1) * 1_000_000):
        job_id, deed = chance.choice(ids), chance.choice(["start", "complete", "fail", "fail", "reset"])
        want = {
            "start": [ProcessingStatus.RUNNING, f"worker {number}", None],
            "complete": [ProcessingStatus.SUCCEEDED, None, None],
            "fail": [ProcessingStatus.FAILED, None, f"it's {number}:\n" + "x" * chance.choice(lengths)],
            "reset": [ProcessingStatus.SCHEDULED, None, None],
        }[deed]
        os.write(log, (json.dumps(["try", job_id, deed, want]) + "\n").encode())
        if deed == "start":
            tracker.start_job(job_id, want[1])
        elif deed == "complete":
            tracker.complete_job(job_id)
        elif deed == "fail":
            tracker.fail_job(job_id, want[2])
        else:
            tracker.reset_jobs([job_id])
        os.write(log, b'["ack"]\n')


class Ledger:
    """What one worker's jobs must be: the acknowledged state, or also the one that was under way."""

    def __init__(self, path, ids):
        self.path, self.states = path, {job_id: [0, None] for job_id in ids}
        path.touch()
        self.read, self.deeds = 0, 0

    def settle(self, jobs):
        """Follow the log of a dead worker and compare its jobs with the file."""
        data = self.path.read_bytes()[self.read :]
        whole = data[: data.rfind(b"\n") + 1]
        pending = None
        for line in map(json.loads, whole.splitlines()):
            if line[0] == "try":
                pending = line
            else:
                self.states[pending[1]] = pending[3][0], pending[3][2]
                self.deeds += 1
                pending = None
        self.read += len(data)
        for job_id, (status, error) in self.states.items():
            got = jobs[job_id]["status"], jobs[job_id]["error_message"]
            allowed = [(status, error)]
            if pending and pending[1] == job_id:
                allowed.append((pending[3][0], pending[3][2]))
            assert got in allowed, (job_id, got, allowed)
            self.states[job_id] = got


@pytest.mark.parametrize(
    ("jobs_each", "lengths"), [(30, [0, 20, 300, 2_000]), (2, [0, 20, 90])], ids=["many pages", "within one page"]
)
def test_a_kill_at_any_moment_loses_no_acknowledged_change(tmp_path, rounds, jobs_each, lengths):
    kills, chance = rounds(1_000, 40), random.Random(7)
    path = tmp_path / "t.yaml"
    tracker = ProcessingTracker(path)
    ids = tracker.initialize_jobs([("process", f"session_{i}") for i in range(WORKERS * jobs_each)])
    shares = [ids[n * jobs_each : (n + 1) * jobs_each] for n in range(WORKERS)]
    ledgers = [Ledger(tmp_path / f"log{n}", share) for n, share in enumerate(shares)]
    context = multiprocessing.get_context("fork")

    def begin(number, seed):
        process = context.Process(target=worker, args=(path, ledgers[number].path, shares[number], seed, lengths))
        process.start()
        return process

    workers = [begin(number, number) for number in range(WORKERS)]
    for kill in range(kills):
        time.sleep(chance.random() * 0.03)  # the random moment
        number = chance.randrange(WORKERS)
        os.kill(workers[number].pid, signal.SIGKILL)
        workers[number].join()
        workers[number].close()
        with tracker._changing():  # within 10 s, or Timeout: the lock is not stuck
            data = path.read_bytes()
        assert (len(data) > PAGE) == (jobs_each > 2)
        jobs = yaml.load(data, FAST)["jobs"]
        assert list(jobs) == ids
        ledgers[number].settle(jobs)
        workers[number] = begin(number, WORKERS + kill)
    for number, process in enumerate(workers):
        process.kill()
        process.join()
        process.close()
        ledgers[number].settle(yaml.safe_load(path.read_text())["jobs"])
    deeds = sum(ledger.deeds for ledger in ledgers)
    assert deeds > kills
    tracker.start_job(ids[0], "after all")
    assert len(tracker.snapshot()) == len(ids)
    print(f"{kills} kills, {deeds} acknowledged changes, none lost")


def test_a_kill_of_a_claimer_gives_every_job_to_one_or_back(tmp_path, rounds):
    jobs, kills, chance = 300, rounds(100, 8), random.Random(9)
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("process", f"session_{i}") for i in range(jobs)])
    context = multiprocessing.get_context("fork")

    def claim_and_run():
        mine = ProcessingTracker(tmp_path / "t.yaml")
        while (job_id := mine.claim()) is not None:
            with mine.run_job(job_id):
                time.sleep(0.001)

    for _ in range(kills):
        process = context.Process(target=claim_and_run)
        process.start()
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.join()
        process.close()
        running = tracker.get_jobs_by_status(ProcessingStatus.RUNNING)
        assert len(running) <= 1
        assert tracker.reschedule_abandoned() == running
    claim_and_run()
    assert tracker.get_jobs_by_status("SUCCEEDED") == ids
    assert tracker.complete
