"""Changes of a tracker, ended at each step by a kill or an error: made or not, and the next call goes on.

A write within one page of the file is one step, without a middle: the kernel looks for a kill between pages only.
"""

import errno
import os
import shutil
from dataclasses import replace

import pytest

from ataraxis_data_structures import ProcessingStatus, ProcessingTracker, TrackerError
from helpers.crash import CHANGES, FULL, READS, chosen, fail_at, kill_at, trace

SCHEDULED, RUNNING, SUCCEEDED, FAILED = ProcessingStatus
LONG = "a line of an error that finds no room in its page\n" * 80
JOBS = {"one page": 6, "many pages": 40, "many pages, changed by others": 40}
CODES = [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EINTR]

# What a change does, by name; ids are those of the jobs, in order.
DEEDS = {
    "begin": lambda tracker, ids: tracker.initialize_jobs([("new", str(i)) for i in range(30)]),
    "add": lambda tracker, ids: tracker.initialize_jobs([("job", "another")]),
    "align": lambda tracker, ids: tracker.align_jobs([("job", "session_0"), ("job", "another")]),
    "start": lambda tracker, ids: tracker.start_job(ids[0], "me"),
    "claim": lambda tracker, ids: tracker.claim("me"),
    "complete": lambda tracker, ids: tracker.complete_job(ids[1]),
    "fail": lambda tracker, ids: tracker.fail_job(ids[1], "short"),
    "fail with a long error": lambda tracker, ids: tracker.fail_job(ids[1], LONG),
    "retry": lambda tracker, ids: tracker.retry_failed_jobs(),
    "reset some": lambda tracker, ids: tracker.reset_jobs(ids[:3]),
    "give back": lambda tracker, ids: tracker.reschedule_abandoned(),
    "reset": lambda tracker, ids: tracker.reset(),
    "rewrite what a person edited": lambda tracker, ids: tracker.complete_job(ids[1]),
    "restore": lambda tracker, ids: tracker.restore(),
}


class Place:
    """A folder with a tracker, as it is before each run."""

    def __init__(self, root, kind, deed):
        self.root, self.kind, self.deed = root, kind, deed
        self.pristine, self.folder = root / "pristine", root / "work"
        self.pristine.mkdir()
        self.tracker = ProcessingTracker(self.folder / "t.yaml")
        made = ProcessingTracker(self.pristine / "t.yaml")
        self.ids = [made.generate_job_id("job", f"session_{i}") for i in range(JOBS[kind])]
        if deed != "begin":
            self._make(made)
        self.prepare()
        self.old, self.old_attempts = self.state(), self.attempts()
        self.program()
        self.new = self.state()
        assert self.old != self.new

    def _make(self, made):
        made.initialize_jobs([("job", f"session_{i}") for i in range(JOBS[self.kind])])
        made.start_job(self.ids[1], "before")
        for job_id in self.ids[2:4]:
            made.start_job(job_id, "before")
            made.fail_job(job_id, "before")
        if self.deed == "give back":
            self._abandon(made)

    def _abandon(self, made):
        pid = os.fork()
        if not pid:
            made.claim()
            os._exit(0)
        os.waitpid(pid, 0)

    def prepare(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.pristine, self.folder)
        if self.deed == "begin":
            return
        if self.kind != "many pages, changed by others":
            self.tracker.start_job(self.ids[4], "warm")  # the index is of this file, not of the one that was copied
        if self.deed == "rewrite what a person edited":
            with self.tracker.file_path.open("ab") as file:
                file.write(b"# checked by hand\n")
        if self.deed == "restore":
            with self.tracker.file_path.open("r+b") as file:
                file.truncate(300)

    def program(self):
        DEEDS[self.deed](self.tracker, self.ids)

    def state(self):
        """Return every job, its times as whether they are set; a word for a file that is damaged."""
        try:
            return {job_id: timeless(state) for job_id, state in self.tracker.snapshot().items()}
        except TrackerError:
            return "damaged"

    def attempts(self):
        found = [attempt for job_id in self.ids for attempt in self.tracker.get_attempts(job_id)]
        return [timeless(attempt) for attempt in found]

    def steps(self, calls):
        """Return which steps there are, save for the middles that no kernel has."""
        self.prepare()
        steps = trace(self.program, calls=calls)
        assert steps
        return [n for n, step in enumerate(steps) if not (step.is_middle and is_in_place(step, self.tracker))]

    def tried(self, short, calls=CHANGES):
        steps = self.steps(calls)
        return [steps[n] for n in chosen(len(steps), short=short)]

    def goes_on(self, step):
        """Assert that the same call and further ones do what they should, and leave nothing beside the tracker."""
        before = self.state()
        if before != self.new or self.deed not in ("restore", "claim"):
            self.program()
            assert self.state() == self.new, step
        added = self.tracker.initialize_jobs([("last", "")])
        for job_id in (*added, *list(self.tracker.snapshot())[:2]):
            self.tracker.start_job(job_id, "after")
            self.tracker.fail_job(job_id, "after")
        assert self.tracker.get_job_status(added[0]) is FAILED
        names = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*")}
        beside = {name for name in names if not name.startswith("t.yaml.axds/leases")}
        known = {
            "t.yaml",
            "t.yaml.lock",
            "t.yaml.axds",
            *(f"t.yaml.axds/{name}" for name in ("index", "last", "attempts")),
        }
        kept = {"rewrite what a person edited": {"t.yaml.edited"}, "restore": {"t.yaml.damaged"}}
        assert beside <= known | kept.get(self.deed, set()), step


def timeless(state):
    return replace(state, **{name: getattr(state, name) is not None for name in ("started_at", "completed_at")})


def is_in_place(step, tracker):
    return step.call == "pwrite64" and is_of(step, tracker)


def is_of(step, tracker):
    return step.target == str(tracker.file_path)


PLACES = [
    (kind, deed)
    for kind in (JOBS if FULL else ["one page", "many pages"])
    for deed in DEEDS
    if (kind, deed) == ("one page", "begin") or deed != "begin"  # there is no file to begin with
]


@pytest.fixture(params=PLACES, ids=", ".join)
def place(request, tmp_path):
    return Place(tmp_path, *request.param)


@pytest.mark.fault
def test_a_change_killed_at_any_step_is_made_or_not(place):
    points = place.tried(short=8)
    for n in points:
        place.prepare()
        run = kill_at(place.program, n)
        assert run.hit, n
        assert place.state() in (place.old, place.new), run.hit
        for attempt in place.old_attempts:  # what was known of runs is known; one that never began may be noted
            assert any(same_run(attempt, found) for found in place.attempts()), run.hit
        place.goes_on(run.hit)
    print(f"killed {len(points)} times: {place.deed}, {place.kind}")


def same_run(attempt, found):
    return (attempt.job_id, attempt.number, attempt.executor_id) == (found.job_id, found.number, found.executor_id)


@pytest.mark.fault
@pytest.mark.parametrize("calls", [CHANGES, CHANGES | READS], ids=["changes", "reads too"])
@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
def test_a_change_any_of_whose_calls_fails_is_made_or_raises_and_leaves_no_trace(place, code, calls):
    points = place.tried(short=4, calls=calls)
    for n in points:
        place.prepare()
        run = fail_at(place.program, n, code, calls=calls)
        assert run.status in (0, 1), run.error
        if run.status:
            assert f"[Errno {code}]" in run.error, run.hit
        if run.status and run.hit.call == "close" and is_of(run.hit, place.tracker):
            # Network file systems tell here that they could not write. What of it they have, nobody knows.
            assert place.state() in (place.old, place.new)
        elif run.hit.target.startswith("/proc/") and place.deed == "give back":
            assert place.state() in (place.old, place.new)  # whoever cannot be judged is not taken for dead
        else:
            assert place.state() == (place.old if run.status else place.new), f"{run.hit}: {run.error}"
            assert place.attempts() == place.old_attempts or not run.status, run.hit
        place.goes_on(run.hit)
    print(f"failed {len(points)} calls: {place.deed}, {place.kind}")
