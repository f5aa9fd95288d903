"""Run the jobs of a tracker in the workers of an executor, those that fail again.

A worker claims what it runs, so several hosts may map one tracker at the same time: each job runs in one of them. Only
files are shared; nothing passes between the caller and its workers but ids.
"""

import threading
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Protocol

from ..errors import TrackerError
from .failure import note_failure, told

Function = Callable[[str, str], object]
_MOST_TASKS = 1_000  # handed to the executor at once; each that ran a job is followed by another
_RENEWALS = 3  # in the time of one lease


class Tracker(Protocol):
    """What is asked of a tracker, here and in the workers."""

    def claim(self, executor_id: str | None = None, *, lease_s: float) -> str | None:
        """Start one scheduled job."""

    def renew_lease(self, *, lease_s: float) -> None:
        """Tell other hosts that this process still works."""

    def get_job_info(self, job_id: str) -> Any:
        """Return what is known of a job."""

    def complete_job(self, job_id: str) -> None:
        """Note that a job succeeded."""

    def fail_job(self, job_id: str, error_message: str | None = None) -> None:
        """Note that a job failed."""

    def retry_failed_jobs(self, job_ids: list[str] | None = None) -> list[str]:
        """Schedule those of the jobs that failed."""

    def reschedule_abandoned(self) -> list[str]:
        """Schedule the jobs whose executor is dead."""


class Ran(NamedTuple):
    """What a worker tells of the job that it ran."""

    job_id: str
    has_failed: bool


def map_jobs(
    tracker: Tracker, executor: Executor, function: Function, *, tasks: int, max_attempts: int, lease_s: float
) -> list[str]:
    """Run the scheduled jobs in the executor until none is left; return the ids of those that were run."""
    attempts: Counter[str] = Counter()
    pending: set[Future[Ran | None]] = set()

    def submit() -> None:
        pending.add(executor.submit(run_next, tracker, function, lease_s))

    try:
        for _ in range(min(tasks, _MOST_TASKS)):
            submit()
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for ran in filter(None, (future.result() for future in done)):
                attempts[ran.job_id] += 1
                if ran.has_failed and attempts[ran.job_id] < max_attempts:
                    tracker.retry_failed_jobs([ran.job_id])
                submit()
    except BrokenExecutor as error:
        executor.shutdown(cancel_futures=True)  # it takes no job any more, and ends the other workers just now
        given_back = tracker.reschedule_abandoned()
        error.add_note(f"a worker was killed; scheduled anew: {', '.join(given_back) or 'no job'}")
        raise
    finally:
        for future in pending:
            future.cancel()
    return list(attempts)


def run_next(tracker: Tracker, function: Function, lease_s: float) -> Ran | None:
    """Claim a job and run it, in a worker; None if none is scheduled."""
    job_id = tracker.claim(lease_s=lease_s)
    if job_id is None:
        return None
    state = tracker.get_job_info(job_id)
    try:
        with _lease_renewed(tracker, lease_s):
            function(state.job_name, state.specifier)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a job that calls sys.exit ends, not its worker
        note_failure(tracker.fail_job, job_id, error, f"{type(error).__name__}: {told(error)}")
        return Ran(job_id, has_failed=True)
    with suppress(TrackerError):  # it was given to another, whose it is; a damaged file tells the next claim
        tracker.complete_job(job_id)
    return Ran(job_id, has_failed=False)


@contextmanager
def _lease_renewed(tracker: Tracker, lease_s: float) -> Generator[None]:
    """Renew the lease of this process while a job runs, however long."""
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(lease_s / _RENEWALS):
            with suppress(OSError, TrackerError):  # a busy lock or disk: the next renewal is early enough
                tracker.renew_lease(lease_s=lease_s)

    renewer = threading.Thread(target=renew, daemon=True)
    renewer.start()
    try:
        yield
    finally:
        is_over.set()
        renewer.join()
