"""The state of a pipeline's jobs, shared by processes and hosts through one YAML file."""

import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import xxhash

from ..config.yaml_config import YamlConfig
from ..errors import ConfigError, TrackerError
from . import entry, lease, lock
from .attempts import Attempt, AttemptLog
from .executor import default_executor_id
from .failure import note_failure, told
from .pool import Function, map_jobs
from .state import JobState, ProcessingStatus, TrackerStatus
from .tracker_file import Entries, Note, TrackerFile

_SCHEDULED, _RUNNING = ProcessingStatus.SCHEDULED, ProcessingStatus.RUNNING
_SUCCEEDED, _FAILED = ProcessingStatus.SUCCEEDED, ProcessingStatus.FAILED


@dataclass
class ProcessingTracker(YamlConfig):
    """The jobs of a pipeline and where each stands, in a `.yaml` file that several processes and hosts may share.

    Every call takes the lock file for itself, waiting at most 10 s (then filelock.Timeout), and works on the file as
    it is at that moment. A call that returned survives SIGKILL of any process; a power cut may undo the last seconds,
    not the file. Questions write nothing and need no right to write. Paths may be `str` wherever they are `Path`.

    Raises:
        ValueError: for an id that is not tracked.
        TypeError: for an id, name, executor or error that is no text. A call that is refused changes nothing.
        TrackerError: for a file that cannot be understood, with its line and job, which is left as it is; for a file
            that was removed after jobs of it had begun, with the copy of its last good state.
    """

    file_path: Path
    jobs: dict[str, JobState] = field(default_factory=dict)
    lock_path: str = field(init=False)

    def __post_init__(self) -> None:
        self.file_path = Path(self.file_path)
        if not self.file_path.name:
            raise ValueError(f"expected the path of a file, got {str(self.file_path)!r}")
        self.lock_path = str(self.file_path.with_name(self.file_path.name + ".lock"))
        self._claims: dict[str, tuple[str | None, int | None]] = {}

    # ---- the instance and its file

    @classmethod
    def from_yaml(cls, file_path: Path, *, strict: bool = False) -> Self:
        """Return a tracker of the file, its jobs read.

        Raises FileNotFoundError for no file; with `strict` ConfigError for keys that no tracker has.
        """
        tracker = cls(file_path)
        if not tracker.file_path.exists():
            raise FileNotFoundError(f"expected a tracker's file, got no {str(file_path)!r}")
        with tracker._looking() as file:
            jobs, foreign = _states(file), file.foreign_keys()
        if strict and foreign:
            line, key = foreign[0]
            raise ConfigError(f"{file_path}, line {line}: expected the keys of a tracker, got {key!r}")
        tracker.jobs = jobs
        return tracker

    def to_yaml(self, file_path: Path) -> None:
        """Write the jobs that the instance last saw to another file, which becomes a tracker's."""
        super().to_yaml(Path(file_path))

    @classmethod
    def restore_excluded_fields(cls, data: dict[Any, Any], file_path: Path) -> dict[Any, Any]:
        """Bind what is read to the file it was read from, whatever path the file holds."""
        kept = {key: value for key, value in data.items() if key != "lock_path"}
        return {**kept, "file_path": str(file_path)}

    @classmethod
    def discover(cls, root_directory: Path, tracker_name: str) -> list[Self]:
        """Return a tracker for every file of that name in the folder's tree, sorted by path."""
        if not Path(root_directory).is_dir():
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
            _check_text("a name and a specifier", text)
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

        with self._changing(making=True) as file:
            file.begin(add)
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

        with self._changing(making=True) as file:
            file.begin(align)
        return [self.generate_job_id(*job) for job in jobs]

    def resolve_job(self, job_id: str, universe: list[tuple[str, str]]) -> tuple[str, str]:
        """Return the name and specifier that give the id; ValueError if none of the universe does."""
        for name, specifier in universe:
            if self.generate_job_id(name, specifier) == job_id:
                return name, specifier
        raise ValueError(f"expected the id of one of {len(universe)} jobs, got {job_id!r}")

    def reset(self) -> None:
        """Forget all jobs."""
        with self._changing(making=True) as file:
            file.reset()

    def restore(self) -> Path | None:
        """Put the last good state in the place of a damaged file; return where the damaged one is kept.

        Raises TrackerError if the file is readable or no good state is known.
        """
        with self._changing() as file:
            if self.file_path.exists() and _is_readable(file):
                raise TrackerError(f"{self.file_path}: expected a damaged file, got one that is readable")
            return file.restore()

    # ---- one job's way

    def start_job(self, job_id: str, executor_id: str | None = None) -> None:
        """Note that a job runs; without an executor, under the scheduler's id, else `pid:N` of the calling process."""
        _check_texts(job_id=job_id, executor_id=executor_id)
        by, now = executor_id or default_executor_id(), _now_us()
        owned = lease.this_process() if by == f"pid:{os.getpid()}" else None  # a scheduler's job outlives its caller
        with self._changing() as file:
            file.edit(job_id, lambda state: state.start(by, now), _note_start(file, job_id, owned))
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
            note_failure(self.fail_job, job_id, error, told(error))
            raise
        self.complete_job(job_id)

    def claim(self, executor_id: str | None = None, *, lease_s: float = lease.DEFAULT_LEASE_S) -> str | None:
        """Start one scheduled job for the calling process and return its id; None if none is scheduled.

        No other claimer on any host gets it. Should this process die, `reschedule_abandoned` gives it back: at once on
        this host, on others when the lease was not renewed for `lease_s`. Ending a job that was given back is a
        TrackerError.
        """
        _check_texts(executor_id=executor_id)
        _check_lease(lease_s)
        by, now = executor_id or default_executor_id(), _now_us()
        with self._changing() as file:
            job_id = file.first_scheduled()
            if job_id is None:
                return None
            me = {**lease.this_process(), "lease": lease.renew_lease(file.side / "leases", lease_s)}
            file.edit(job_id, lambda state: state.start(by, now), _note_start(file, job_id, me))
        self._claims[job_id] = by, now
        return job_id

    def renew_lease(self, *, lease_s: float = lease.DEFAULT_LEASE_S) -> None:
        """Tell other hosts that this process still works on what it claimed; call it well within the lease."""
        _check_lease(lease_s)
        with self._changing() as file:
            lease.renew_lease(file.side / "leases", lease_s)

    def map(
        self,
        executor: Executor,
        function: Function,
        *,
        max_attempts: int = 3,
        lease_s: float = lease.DEFAULT_LEASE_S,
    ) -> dict[str, JobState]:
        """Run every scheduled job in the workers of an executor, one that fails up to `max_attempts` times.

        A worker claims a job, calls `function(job_name, specifier)` and notes how it ended; the job fails by an
        exception or `sys.exit`. Several processes and hosts may map one tracker at the same time.

        Args:
            executor: a `concurrent.futures.Executor`, or one that behaves like it. Its workers see the tracker's file.
            function: what to run; one that can be pickled, where the workers are processes.
            max_attempts: how often this call runs a job that fails.
            lease_s: seconds without a sign of life after which other hosts may take a job for abandoned.

        Returns:
            The jobs that this call ran, by their ids, as they stand at its end.

        Raises:
            BrokenExecutor: if a worker was killed; the jobs of dead workers are scheduled anew.
        """
        _check_lease(lease_s)
        if max_attempts < 1:
            raise ValueError(f"expected max_attempts of at least 1, got {max_attempts}")
        tasks, bare = self.get_summary()[_SCHEDULED], type(self)(self.file_path)  # workers need no jobs of before
        ran = map_jobs(bare, executor, function, tasks=tasks, max_attempts=max_attempts, lease_s=lease_s)
        states = self.snapshot()
        return {job_id: states[job_id] for job_id in ran if job_id in states}

    # ---- jobs given back

    def retry_failed_jobs(self, job_ids: Iterable[str] | None = None) -> list[str]:
        """Schedule the failed ones of these jobs (default: of all) anew; return their ids."""
        among = None if job_ids is None else set(job_ids)

        def failed(_: TrackerFile, entries: Entries) -> list[str]:
            chosen = (i for i in entries if among is None or i in among)
            return [job_id for job_id in chosen if entry.status(entries[job_id]) is _FAILED]

        return self._schedule(failed)

    def reset_jobs(self, job_ids: Iterable[str]) -> list[str]:
        """Schedule these jobs anew, whatever their state; return their ids in the file's order. All or none."""
        job_ids = list(job_ids)
        for job_id in job_ids:
            _check_texts(job_id=job_id)

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
        with self._looking() as file:
            return _abandoned(file, file.read())

    def reschedule_abandoned(self) -> list[str]:
        """Schedule the jobs whose executor is dead anew; return their ids."""
        reason = "abandoned by its executor"
        return self._schedule(lambda file, entries: _abandoned(file, entries, writing=True), reason)

    # ---- questions

    def get_job_status(self, job_id: str) -> ProcessingStatus:
        """Return where one job stands."""
        return self.get_job_info(job_id).status

    def get_job_info(self, job_id: str) -> JobState:
        """Return a copy of what is known of one job."""
        _check_texts(job_id=job_id)
        with self._looking() as file:
            return file.find(job_id)

    def get_attempts(self, job_id: str) -> list[Attempt]:
        """Return the runs of a job that this library began, oldest first."""
        _check_texts(job_id=job_id)
        with self._looking() as file:
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
        with self._looking() as file:
            counts = file.count()
        return {status: counts[status] for status in ProcessingStatus}

    def snapshot(self) -> dict[str, JobState]:
        """Return a copy of everything; {} if there is no file."""
        with self._looking() as file:
            return _states(file)

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
    def _changing(self, *, making: bool = False) -> Generator[TrackerFile]:
        """Hold the lock that every version of the library takes; a folder that does not exist holds no jobs."""
        self._check_suffix()
        if making:
            self.file_path.parent.mkdir(parents=True, exist_ok=True)
        self._is_stale = True
        if not self.file_path.parent.is_dir():
            yield TrackerFile(self.file_path)
            return
        with lock.for_change(self.lock_path):
            yield TrackerFile(self.file_path)

    @contextmanager
    def _looking(self) -> Generator[TrackerFile]:
        """Hold the lock where that needs no new file and no right to write."""
        self._check_suffix()
        self._is_stale = True
        with lock.for_look(self.lock_path) as is_locked:
            yield TrackerFile(self.file_path, is_look=True, is_locked=is_locked)

    def _check_suffix(self) -> None:
        if self.file_path.suffix not in (".yaml", ".yml"):
            raise ValueError(f"expected a .yaml or .yml file, got {str(self.file_path)!r}")

    def _entries(self) -> Entries:
        with self._looking() as file:
            return file.read()

    def _schedule(self, choose: Callable[[TrackerFile, Entries], list[str]], ended_by: str | None = None) -> list[str]:
        """Schedule the chosen jobs anew; `ended_by` is noted as the end of their runs."""
        ids: list[str] = []
        with self._changing() as file, ExitStack() as noted:

            def schedule(entries: Entries) -> bool:
                ids.extend(choose(file, entries))
                ends = []
                for job_id in ids:
                    state = file.parsed(job_id, entries[job_id])
                    ends.append(_end_of_run(job_id, state, ended_by))
                    state.schedule()
                    entries[job_id] = entry.render(job_id, state)
                if ended_by and ends:
                    noted.enter_context(_log(file).noted(ends))
                return bool(ids)

            file.update(schedule)
        return ids

    def _end(self, job_id: str, status: ProcessingStatus, error_message: str | None) -> None:
        _check_texts(job_id=job_id, error_message=error_message)
        claim = self._claims.get(job_id)

        def end(state: JobState) -> None:
            if claim and claim != (state.executor_id, state.started_at):
                raise TrackerError(f"expected job {job_id} to be this process's, got one given to {state.executor_id}")
            state.end(status, error_message, _now_us())

        with self._changing() as file:
            file.edit(job_id, end, lambda state: _log(file).noted([_end_of_run(job_id, state, error_message)]))
        self._claims.pop(job_id, None)

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


def _states(file: TrackerFile) -> dict[str, JobState]:
    return {job_id: file.parsed(job_id, raw) for job_id, raw in file.read().items()}


def _note_start(file: TrackerFile, job_id: str, owned: lease.Owner | None) -> Note:
    """Note the attempt first: an executor that is killed in between has begun nothing, but none runs unnoted."""

    def note(state: JobState) -> AbstractContextManager[None]:
        began = {"job": job_id, "start": state.started_at, "executor": state.executor_id}
        return _log(file).noted([{**began, "host": lease.this_host(), "owner": owned}])

    return note


def _end_of_run(job_id: str, state: JobState, error_message: str | None) -> dict[str, Any]:
    """Return the line that tells the end of a run."""
    done = state.status if state.status in (_SUCCEEDED, _FAILED) else _FAILED
    end_us = state.completed_at or _now_us()
    return {"job": job_id, "run": state.started_at, "end": end_us, "status": int(done), "error": error_message}


def _abandoned(file: TrackerFile, entries: Entries, *, writing: bool = False) -> list[str]:
    running = [job_id for job_id, raw in entries.items() if entry.status(raw) is _RUNNING]
    owners = _log(file).owners() if running else {}
    keys = [(job_id, file.parsed(job_id, entries[job_id]).started_at) for job_id in running]
    known = {key[0]: owners[key] for key in keys if key in owners}
    leases = file.side / "leases"
    now_s = lease.clock_s(leases, writing=writing) if any(map(_is_elsewhere, known.values())) else 0.0
    return [job_id for job_id, owner in known.items() if lease.is_dead(owner, leases, now_s)]


def _is_elsewhere(owner: lease.Owner) -> bool:
    return lease.life_of(owner) is lease.Life.UNKNOWN


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"expected text for {what}, got {type(value).__name__} {value!r:.80}")


def _check_texts(**values: object) -> None:
    for name, value in values.items():
        if value is not None or name == "job_id":
            _check_text(name, value)


def _check_lease(lease_s: float) -> None:
    if isinstance(lease_s, bool) or not isinstance(lease_s, int | float) or not 0 < lease_s < math.inf:
        raise ValueError(f"expected a lease_s above 0 seconds, got {lease_s!r}")


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
