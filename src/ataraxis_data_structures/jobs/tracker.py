"""The state of a pipeline's jobs, shared by processes and hosts through one YAML file."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import xxhash
from filelock import FileLock

from ..config.yaml_config import YamlConfig
from ..errors import TrackerError
from . import entry, owner
from .attempts import Attempt, AttemptLog
from .executor import default_executor_id
from .state import JobState, ProcessingStatus, TrackerStatus
from .tracker_file import Entries, TrackerFile

LOCK_TIMEOUT_S = 10
_POLL_INTERVAL_S = 0.005  # a waiting process costs 1 % of a core; filelock's own 50 ms would idle a busy tracker

_SCHEDULED, _RUNNING = ProcessingStatus.SCHEDULED, ProcessingStatus.RUNNING
_SUCCEEDED, _FAILED = ProcessingStatus.SUCCEEDED, ProcessingStatus.FAILED


@dataclass
class ProcessingTracker(YamlConfig):
    """The jobs of a pipeline and where each stands, in a `.yaml` file that several processes and hosts may share.

    Every call takes the lock file for itself, waiting at most 10 s (then filelock.Timeout), and works on the file as
    it is at that moment. A call that returned survives SIGKILL of any process; a power cut may undo the last seconds,
    not the file. ValueError for an id that is not tracked; TrackerError for a file that cannot be understood, which is
    left as it is.
    """

    file_path: Path
    jobs: dict[str, JobState] = field(default_factory=dict)
    lock_path: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.file_path.name:
            raise ValueError(f"expected the path of a file, got {str(self.file_path)!r}")
        self.lock_path = str(self.file_path.with_name(self.file_path.name + ".lock"))
        self._claims: dict[str, tuple[str | None, int | None]] = {}

    # ---- the instance and its file

    @classmethod
    def from_yaml(cls, file_path: Path, *, strict: bool = False) -> Self:
        """Return a tracker of the file, its jobs read; `strict` refuses keys that the layout does not have."""
        if strict:
            super().from_yaml(file_path, strict=True)
        if not file_path.exists():
            raise FileNotFoundError(f"expected a tracker's file, got no {str(file_path)!r}")
        tracker = cls(file_path)
        tracker.jobs = tracker.snapshot()
        return tracker

    @classmethod
    def restore_excluded_fields(cls, data: dict[Any, Any], file_path: Path) -> dict[Any, Any]:
        """Bind what is read to the file it was read from, whatever path the file holds."""
        kept = {key: value for key, value in data.items() if key != "lock_path"}
        return {**kept, "file_path": str(file_path)}

    @classmethod
    def discover(cls, root_directory: Path, tracker_name: str) -> list[Self]:
        """Return a tracker for every file of that name in the folder's tree, sorted by path."""
        if not root_directory.is_dir():
            raise FileNotFoundError(f"expected a folder, got {str(root_directory)!r}")

        def refuse(error: OSError) -> None:
            raise error

        walk = os.walk(root_directory, onerror=refuse)
        found = (Path(folder, tracker_name) for folder, _, files in walk if tracker_name in files)
        return [cls(path) for path in sorted(found) if path.is_file()]

    @staticmethod
    def generate_job_id(job_name: str, specifier: str = "") -> str:
        """Return the id of a job: XXH64 of `name:specifier`, or of the name alone, in 16 hex digits."""
        for text in (job_name, specifier):
            if ":" in text:
                raise ValueError(f"expected a name and a specifier without ':', got {text!r}")
        text = f"{job_name}:{specifier}" if specifier else job_name
        return xxhash.xxh64_hexdigest(text.encode(errors="surrogatepass"))  # also of file names that are no UTF-8

    # ---- which jobs there are

    def initialize_jobs(self, jobs: list[tuple[str, str]]) -> list[str]:
        """Add the jobs, (name, specifier) each, that are not tracked yet; return the ids in the order given."""
        wanted = {self.generate_job_id(*job): job for job in jobs}
        ids = [self.generate_job_id(*job) for job in jobs]

        def add(entries: Entries) -> bool:
            if known := [job_id for job_id in wanted if job_id in entries]:
                _warn("%s already tracks %d of these jobs; their state is kept", self.file_path, len(known))
            new = _new_entries(wanted, entries)
            entries.update(new)
            return bool(new) or not self.file_path.exists()

        self._update(add)
        return ids

    def align_jobs(self, jobs: list[tuple[str, str]], universe: list[tuple[str, str]] | None = None) -> list[str]:
        """Drop what is outside the universe (default: the jobs), add what is missing of the jobs, keep every state."""
        wanted = {self.generate_job_id(*job): job for job in jobs}
        allowed = set(wanted) if universe is None else {self.generate_job_id(*job) for job in universe}
        if not wanted:
            raise ValueError("expected at least one job, got none")
        if outside := [job for job_id, job in wanted.items() if job_id not in allowed]:
            raise ValueError(f"expected jobs of the universe, got {outside[0]}")

        def align(entries: Entries) -> bool:
            foreign = [job_id for job_id in entries if job_id not in allowed]
            if foreign:
                _warn("%s drops %d jobs outside the universe: %s", self.file_path, len(foreign), foreign)
            for job_id in foreign:
                del entries[job_id]
            new = _new_entries(wanted, entries)
            entries.update(new)
            return bool(foreign or new)

        self._update(align)
        return [self.generate_job_id(*job) for job in jobs]

    def resolve_job(self, job_id: str, universe: list[tuple[str, str]]) -> tuple[str, str]:
        """Return the name and specifier that give the id; ValueError if none of the universe does."""
        for name, specifier in universe:
            if self.generate_job_id(name, specifier) == job_id:
                return name, specifier
        raise ValueError(f"expected the id of one of {len(universe)} jobs, got {job_id!r}")

    def reset(self) -> None:
        """Forget all jobs."""
        with self._locked(making=True) as file:
            file.reset()

    def restore(self) -> Path | None:
        """Put the last good state in the place of a damaged file; return where the damaged one is kept.

        Raises TrackerError if the file is readable or no good state is known.
        """
        with self._locked() as file:
            if self.file_path.exists() and _is_readable(file):
                raise TrackerError(f"{self.file_path}: expected a damaged file, got one that is readable")
            return file.restore()

    # ---- one job's way

    def start_job(self, job_id: str, executor_id: str | None = None) -> None:
        """Note that a job runs; without an executor, under the scheduler's id, else `pid:N` of the calling process."""
        by, now = executor_id or default_executor_id(), _now_us()
        owned = owner.this_process() if by == f"pid:{os.getpid()}" else None  # a scheduler's job outlives its caller
        with self._locked() as file:
            file.edit(job_id, lambda state: _start(file, job_id, state, (by, now), owned))
        if job_id in self._claims:
            self._claims[job_id] = by, now

    def complete_job(self, job_id: str) -> None:
        """Note that a job succeeded."""
        self._end(job_id, _SUCCEEDED, None)

    def fail_job(self, job_id: str, error_message: str | None = None) -> None:
        """Note that a job failed, and why."""
        self._end(job_id, _FAILED, error_message)

    @contextmanager
    def run_job(self, job_id: str, executor_id: str | None = None) -> Generator[None, None, None]:
        """Run the body as the job: it succeeds at the end, fails by an exception, goes on running by an interrupt."""
        if job_id not in self._claims:
            self.start_job(job_id, executor_id)
        try:
            yield
        except Exception as error:
            self.fail_job(job_id, str(error))
            raise
        self.complete_job(job_id)

    def claim(self, executor_id: str | None = None, *, lease_s: float = 300.0) -> str | None:
        """Start one scheduled job for the calling process and return its id; None if none is scheduled.

        No other claimer on any host gets it. Should this process die, `reschedule_abandoned` gives it back: at once on
        this host, on others when the lease was not renewed for `lease_s`. Ending a job that was given back is a
        TrackerError.
        """
        by, now = executor_id or default_executor_id(), _now_us()
        with self._locked() as file:
            lease = owner.renew_lease(file.side / "leases", lease_s) if self.file_path.exists() else ""
            me = {**owner.this_process(), "lease": lease}
            taken = file.edit_scheduled(lambda job_id, state: _start(file, job_id, state, (by, now), me))
        if taken is None:
            return None
        self._claims[taken[0]] = by, now
        return taken[0]

    def renew_lease(self, *, lease_s: float = 300.0) -> None:
        """Tell other hosts that this process still works on what it claimed; call it well within the lease."""
        with self._locked() as file:
            owner.renew_lease(file.side / "leases", lease_s)

    # ---- jobs given back

    def retry_failed_jobs(self) -> list[str]:
        """Schedule every failed job anew; return their ids."""
        return self._schedule(lambda _, entries: [i for i, raw in entries.items() if entry.status(raw) is _FAILED])

    def reset_jobs(self, job_ids: list[str]) -> list[str]:
        """Schedule these jobs anew, whatever their state; return their ids in the file's order. All or none."""

        def chosen(_: TrackerFile, entries: Entries) -> list[str]:
            if unknown := [job_id for job_id in job_ids if job_id not in entries]:
                raise ValueError(f"expected ids of tracked jobs, got {unknown[0]!r}")
            wanted = set(job_ids)
            return [job_id for job_id in entries if job_id in wanted]

        return self._schedule(chosen)

    def find_abandoned(self) -> list[str]:
        """Return the running jobs whose executor is dead: the kernel of this host, or a lease that ran out, says so.

        Known are jobs that were claimed or started as `pid:N` by that process; no other is taken for abandoned.
        """
        with self._locked() as file:
            return _abandoned(file, file.read())

    def reschedule_abandoned(self) -> list[str]:
        """Schedule the jobs whose executor is dead anew; return their ids."""

        def chosen(file: TrackerFile, entries: Entries) -> list[str]:
            ids = _abandoned(file, entries)
            for job_id in ids:
                _note_end(file, job_id, file.parsed(job_id, entries[job_id]), "abandoned by its executor")
            return ids

        return self._schedule(chosen)

    # ---- questions

    def get_job_status(self, job_id: str) -> ProcessingStatus:
        """Return where one job stands."""
        return self.get_job_info(job_id).status

    def get_job_info(self, job_id: str) -> JobState:
        """Return a copy of what is known of one job."""
        with self._locked() as file:
            return file.find(job_id)

    def get_attempts(self, job_id: str) -> list[Attempt]:
        """Return the runs of a job that this library began, oldest first."""
        with self._locked() as file:
            return _log(file).of(job_id)

    def find_jobs(self, job_name: str | None = None, specifier: str | None = None) -> dict[str, tuple[str, str]]:
        """Return {id: (name, specifier)} of the jobs that contain both texts."""
        return {
            job_id: (state.job_name, state.specifier)
            for job_id, state in self.snapshot().items()
            if (job_name or "") in state.job_name and (specifier or "") in state.specifier
        }

    def get_jobs_by_status(self, status: ProcessingStatus | str) -> list[str]:
        """Return the ids of the jobs with that status, a member or its name."""
        wanted = ProcessingStatus[status] if isinstance(status, str) else status
        return [job_id for job_id, raw in self._entries().items() if entry.status(raw) == wanted]

    def get_summary(self) -> dict[ProcessingStatus, int]:
        """Return how many jobs have each status."""
        with self._locked() as file:
            counts = file.count()
        return {status: counts[status] for status in ProcessingStatus}

    def snapshot(self) -> dict[str, JobState]:
        """Return a copy of everything; {} if there is no file."""
        with self._locked() as file:
            return {job_id: file.parsed(job_id, raw) for job_id, raw in file.read().items()}

    def summarize(self) -> dict[str, Any]:
        """Return the jobs, the counts and the status of the whole as plain values."""
        jobs = self.snapshot()
        counts = Counter(state.status for state in jobs.values())
        summary = {"total": len(jobs)}
        summary |= {s.name.lower(): counts[s] for s in (_SUCCEEDED, _FAILED, _RUNNING, _SCHEDULED)}
        described = [_described(job_id, state) for job_id, state in jobs.items()]
        return {"jobs": described, "summary": summary, "status": self.resolve_status(summary)}

    @staticmethod
    def resolve_status(summary: Mapping[str, int]) -> TrackerStatus:
        """Return the status of a pipeline with these counts."""
        total = summary.get("total", 0)
        if summary.get("failed", 0) > 0:
            return TrackerStatus.FAILED
        if total > 0 and summary.get("succeeded", 0) == total:
            return TrackerStatus.COMPLETED
        if summary.get("running", 0) > 0:
            return TrackerStatus.PROCESSING
        if total > 0 and summary.get("scheduled", 0) == total:
            return TrackerStatus.NOT_STARTED
        return TrackerStatus.IN_PROGRESS

    @property
    def complete(self) -> bool:
        """Whether there are jobs and all of them succeeded."""
        counts = self.get_summary()
        return counts[_SUCCEEDED] > 0 and counts[_SUCCEEDED] == sum(counts.values())

    @property
    def encountered_error(self) -> bool:
        """Whether any job failed."""
        return self.get_summary()[_FAILED] > 0

    # ---- under the lock

    @contextmanager
    def _locked(self, *, making: bool = False) -> Generator[TrackerFile, None, None]:
        """Hold the lock that every version of the library takes; a folder that does not exist holds no jobs."""
        if self.file_path.suffix not in (".yaml", ".yml"):
            raise ValueError(f"expected a .yaml or .yml file, got {str(self.file_path)!r}")
        if making:
            self.file_path.parent.mkdir(parents=True, exist_ok=True)
        self._is_stale = True
        if not self.file_path.parent.is_dir():
            yield TrackerFile(self.file_path)
            return
        with FileLock(self.lock_path).acquire(LOCK_TIMEOUT_S, poll_interval=_POLL_INTERVAL_S):
            yield TrackerFile(self.file_path)

    def _entries(self) -> Entries:
        with self._locked() as file:
            return file.read()

    def _update(self, change: Callable[[Entries], bool]) -> None:
        with self._locked(making=True) as file:
            file.update(change)

    def _schedule(self, choose: Callable[[TrackerFile, Entries], list[str]]) -> list[str]:
        ids: list[str] = []
        with self._locked() as file:

            def schedule(entries: Entries) -> bool:
                ids.extend(choose(file, entries))
                for job_id in ids:
                    state = file.parsed(job_id, entries[job_id])
                    state.schedule()
                    entries[job_id] = entry.render(job_id, state)
                return bool(ids)

            file.update(schedule)
        return ids

    def _end(self, job_id: str, status: ProcessingStatus, error_message: str | None) -> None:
        claim = self._claims.pop(job_id, None)

        def end(state: JobState) -> None:
            if claim and claim != (state.executor_id, state.started_at):
                raise TrackerError(f"expected job {job_id} to be this process's, got one given to {state.executor_id}")
            state.end(status, error_message, _now_us())
            _note_end(file, job_id, state, error_message)

        with self._locked() as file:
            file.edit(job_id, end)

    def _get_jobs(self) -> dict[str, JobState]:
        if self._is_stale:
            self._jobs = self.snapshot()
            self._is_stale = False
        return self._jobs

    def _set_jobs(self, jobs: dict[str, JobState]) -> None:
        self._jobs, self._is_stale = jobs, False


# A change of one job does not read the others: they are read when somebody asks the instance for them.
ProcessingTracker.jobs = property(  # type: ignore[assignment]
    ProcessingTracker._get_jobs,  # noqa: SLF001 - a dataclass field cannot be declared as a property
    ProcessingTracker._set_jobs,  # noqa: SLF001
)


def _now_us() -> int:
    return time.time_ns() // 1000


def _warn(message: str, *values: object) -> None:
    logging.getLogger(__name__).warning(message, *values)


def _new_entries(wanted: Mapping[str, tuple[str, str]], entries: Entries) -> Entries:
    return {i: entry.render(i, JobState(*job)) for i, job in wanted.items() if i not in entries}


def _is_readable(file: TrackerFile) -> bool:
    try:
        file.read()
    except TrackerError:
        return False
    return True


def _log(file: TrackerFile) -> AttemptLog:
    return AttemptLog(file.side / "attempts")


def _start(file: TrackerFile, job_id: str, state: JobState, by: tuple[str, int], owned: owner.Owner | None) -> None:
    """Note the attempt first: an executor that is killed in between has begun nothing, but none runs unnoted."""
    state.start(*by)
    event = {"job": job_id, "start": by[1], "executor": by[0], "host": owner.this_host(), "owner": owned}
    _log(file).append([event])


def _note_end(file: TrackerFile, job_id: str, state: JobState, error_message: str | None) -> None:
    done = state.status if state.status in (_SUCCEEDED, _FAILED) else _FAILED
    end = {
        "job": job_id,
        "run": state.started_at,
        "end": state.completed_at or _now_us(),
        "status": int(done),
        "error": error_message,
    }
    _log(file).append([end])


def _abandoned(file: TrackerFile, entries: Entries) -> list[str]:
    running = [job_id for job_id, raw in entries.items() if entry.status(raw) is _RUNNING]
    owners = _log(file).owners() if running else {}
    leases = file.side / "leases"
    keys = ((job_id, file.parsed(job_id, entries[job_id]).started_at) for job_id in running)
    return [key[0] for key in keys if key in owners and owner.is_dead(owners[key], leases)]


def _described(job_id: str, state: JobState) -> dict[str, Any]:
    described: dict[str, Any] = {
        "job_id": job_id,
        "job_name": state.job_name,
        "specifier": state.specifier,
        "status": state.status.name,
        "executor_id": state.executor_id,
        "started_at": state.started_at,
        "completed_at": state.completed_at,
    }
    return described if state.error_message is None else {**described, "error_message": state.error_message}
