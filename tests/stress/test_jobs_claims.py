"""Many processes claim from one tracker: every job goes to exactly one of them."""

import multiprocessing
from collections import Counter

import pytest

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker
from ataraxis_data_structures.jobs import lease

CLAIMERS = 16


def claim_all(path, number, poses, results):
    if poses:
        lease.this_machine = lambda: f"another-host-{number}"
    tracker, got = ProcessingTracker(path), []
    while (job_id := tracker.claim(f"worker-{number}")) is not None:
        got.append(job_id)
    results.put((number, got))


@pytest.mark.parametrize("poses", [False, True], ids=["one host", "half pose as other hosts"])
def test_every_job_is_handed_out_once(tmp_path, rounds, poses):
    jobs = rounds(20_000, 600)
    tracker = ProcessingTracker(tmp_path / "t.yaml")
    ids = tracker.initialize_jobs([("process", f"session_{i}") for i in range(jobs)])
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    claimers = [
        context.Process(target=claim_all, args=(tracker.file_path, number, poses and number % 2, results))
        for number in range(CLAIMERS)
    ]
    for process in claimers:
        process.start()
    got = dict(results.get() for _ in claimers)
    for process in claimers:
        process.join()
        process.close()
    results.close()
    counts = Counter(job_id for handed in got.values() for job_id in handed)
    assert counts == Counter(ids)
    states = tracker.snapshot()
    for number, handed in got.items():
        assert {states[job_id].executor_id for job_id in handed} <= {f"worker-{number}"}
    assert tracker.get_summary()[ProcessingStatus.RUNNING] == jobs
    abandoned = set(tracker.find_abandoned())
    assert abandoned == {job_id for number, handed in got.items() if not (poses and number % 2) for job_id in handed}
    print(f"{jobs} jobs, {CLAIMERS} processes: {sorted(len(handed) for handed in got.values())}")
