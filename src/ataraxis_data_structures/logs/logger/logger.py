"""The logger that an acquisition program holds: it starts, watches and stops the process that writes."""

import atexit
import json
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from ...memory.queue import LogQueue
from ...system.process import own_identity
from ...system.progress import make_bar
from ..control_words import Ended, Note
from ..descriptions import SourceDescription, describe, write_description
from ..log_directory import LogDirectory
from ..names import LOG_DIRECTORY_SUFFIX
from ..owner_record import OwnerRecord
from ..recovery.files import without_file
from ..recovery.lanes import awaits_recovery
from ..sessions import further_directories, holds_messages, new_session
from .running import run_loop
from .source import LogSource, SourceTable
from .statistics import LoggerStatistics, statistics_of
from .supervisor import Supervisor

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_STORAGES = ("npy", "journal")
_POLICIES = (None, "refuse", "new", "continue")
_SYNCS = ("none", "interval", "batch")
_ROTATE_BYTES = {"npy": 64 * 2**20, "journal": 2**30}
_OLD_DRAIN_S = 60.0
_GIVE_UP_S = 10.0  # after stop() a disk that takes nothing is waited for this long
_SHOW_AFTER_S = 0.5
_STEP_S = 0.05


class DataLogger:
    """Writes the messages that any process puts into `input_queue` to a log directory, each exactly once.

    A message whose `put` returned survives the death of its producer, of the logger process, of this one, or of all of
    them. `thread_count` and `poll_interval` are accepted for older programs and have no effect.
    """

    def __init__(
        self,
        output_directory: Path | str,
        instance_name: str,
        thread_count: int = 5,
        poll_interval: int = 5,
        *,
        storage: Literal["npy", "journal"] = "npy",
        sync: Literal["none", "interval", "batch"] = "none",
        sync_interval_ms: int = 200,
        lane_bytes: int = 1 << 23,
        overflow: Literal["block", "drop_newest"] = "block",
        timeout: float | None = None,
        session: Literal["refuse", "new", "continue"] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the log directory and the queue; `start` makes the process.

        `storage`: a file for each message, or journals for rates above some thousand messages a second. `sync`: when
        bytes are forced to the disk, `flush` does it at any time. `lane_bytes`: room that each producer process has;
        when it is full, `overflow` says whether a put waits (at most `timeout` seconds) or drops its message.

        `session` says what to do where messages of another session (of another DataLogger) lie in the directory:
        "refuse" raises FileExistsError, "new" takes a further directory (`NAME_2_data_log`), "continue" adds to them;
        None adds to them too, and `start` warns. `metadata` (what JSON can hold) is kept with the session's messages.
        """
        if storage not in _STORAGES:
            raise ValueError(f"expected a storage of {_STORAGES}, got {storage!r}")
        if sync not in _SYNCS:
            raise ValueError(f"expected a sync of {_SYNCS}, got {sync!r}")
        if sync_interval_ms < 1:
            raise ValueError(f"expected a sync interval of at least 1 ms, got {sync_interval_ms}")
        if session not in _POLICIES:
            raise ValueError(f"expected a session of {_POLICIES}, got {session!r}")
        kept = _as_json(metadata)
        self._name = str(instance_name)
        self._thread_count = max(1, int(thread_count))
        self._poll_interval = max(0, int(poll_interval))
        directory = _choose(Path(output_directory) / f"{self._name}{LOG_DIRECTORY_SUFFIX}", session)
        directory.mkdir(parents=True, exist_ok=True)
        self._output_directory = directory
        queue = LogQueue.create(
            directory=directory.resolve(), lane_bytes=lane_bytes, overflow=overflow, timeout=timeout
        )
        settings: dict[str, Any] = {"storage": storage, "sync": sync, "sync_interval_ms": sync_interval_ms}
        settings["session"] = new_session(queue.id, storage, kept).document()
        settings["warned"] = session is not None
        self._session = Session(queue, settings)
        self._finalizer = weakref.finalize(self, self._session.leave)
        _watch_for_exit()

    def __repr__(self) -> str:
        return (
            f"DataLogger(name={self._name}, output_directory={self._output_directory}, "
            f"thread_count={self._thread_count}, poll_interval={self._poll_interval} ms, "
            f"started={self._session.started})"
        )

    @property
    def input_queue(self) -> LogQueue:
        """The queue to put LogPackages into, from this process or any it is sent to."""
        return self._session.queue

    @property
    def name(self) -> str:
        """The instance name."""
        return self._name

    @property
    def output_directory(self) -> Path:
        """The directory that the log is written to."""
        return self._output_directory

    @property
    def alive(self) -> bool:
        """Whether the logger was started and takes messages; False once it was given up."""
        return self._session.alive

    @property
    def statistics(self) -> LoggerStatistics:
        """What was accepted, written, synced and dropped so far; `logger_statistics` asks from another program."""
        return statistics_of(self._session.queue)

    def source(
        self,
        code: int,
        *,
        name: str = "",
        dtype: "DTypeLike" = "u1",
        shape: tuple[int, ...] | int = (),
        rate_hz: float | None = None,
        unit: str = "",
        **metadata: Any,
    ) -> LogSource:
        """Describe a source of this session, and return what its arrays are put into.

        The description is written into the log directory at once, and assembly takes it into the archive of the
        source (`LogArchiveReader.source`). The onset of the source is put when the logger runs.

        Args:
            code: The source_id of its messages, 0 to 255.
            name: What to call it; the number if empty.
            dtype: Of its arrays, of fixed size and without objects; structured ones too.
            shape: Of the array in each message; () is one value.
            rate_hz: How many messages a second are meant, if that is known.
            unit: Of the values.
            metadata: What else there is to say; what JSON can hold.

        Returns:
            The source; it may be given to other processes by any route. The same description gives the same one.

        Raises:
            TypeError, ValueError: What no message can be, or another source has the number or the name.
        """
        return self._session.describe(
            describe(
                code, name=name, dtype=dtype, shape=shape, rate_hz=rate_hz, unit=unit,
                onset_us=self._session.sources.onset_us, metadata=_as_json(metadata),
            )
        )  # fmt: skip

    def running(self, rate_hz: float | None = None, duration_s: float | None = None) -> Iterator[float]:
        """Yield the seconds since the loop began, until Ctrl-C, `stop`, or the end of the duration.

        The first Ctrl-C (or SIGTERM) ends the loop after the current turn, and the program goes on behind it; a second
        one interrupts as everywhere. In threads other than the main one, signals are left alone.

        Args:
            rate_hz: How often a second to yield; None for as often as the loop asks.
            duration_s: When to end; None for never.
        """
        return run_loop(self._session.queue, rate_hz, duration_s)

    def start(self) -> None:
        """Start the logger process and return when it writes; nothing happens if it runs.

        QueueBusyError if another logger works in the directory, OSError if it can't be written to.
        """
        self._session.start()

    def stop(self) -> None:
        """Return when everything that was put before is on disk in its final form, and no logger process runs.

        Raises if something accepted is not there: OSError, or ChildProcessError if the logger was given up.
        """
        self._session.stop()

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything that was put before is on the disk, synced; TimeoutError after `timeout` seconds."""
        self._session.flush(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _as_json(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of what JSON can hold; TypeError for anything else."""
    try:
        copy = json.loads(json.dumps(dict(metadata or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"expected metadata that JSON can hold, got {error}") from None
    return dict(copy)


def _choose(directory: Path, session: str | None) -> Path:
    """Return the directory to record into, as the session policy has it."""
    if session in (None, "continue") or not _holds_session(directory):
        return directory
    if session == "refuse":
        raise FileExistsError(
            f"expected a log directory without messages, got those of another session in {directory}: "
            'move them, or choose session="new" or "continue"'
        )
    return next(further for further in further_directories(directory) if not _holds_session(further))


def _holds_session(directory: Path) -> bool:
    """Tell whether messages of another session lie in a directory, or will: it was killed, or records just now."""
    if holds_messages(directory) or awaits_recovery(directory):
        return True
    return any(queue.logger_lives for queue in OwnerRecord.read(directory).queues)


_exiting = threading.Event()


def _watch_for_exit() -> None:
    # Registered behind the latest finalizer, and once, so that it runs before all of them.
    atexit.unregister(_exiting.set)
    atexit.register(_exiting.set)


class Session:
    """What a DataLogger owns, so that it can be put away after the DataLogger itself is gone."""

    def __init__(self, queue: LogQueue, settings: dict[str, Any]) -> None:
        self.queue = queue
        self._settings = settings | {
            "directory": str(queue.directory),
            "queue": queue.name,
            "queue_id": queue.id,
            "owner": own_identity(),
            "rotate_bytes": _ROTATE_BYTES[settings["storage"]],
            "patience_s": _OLD_DRAIN_S,
            "join_s": _OLD_DRAIN_S,
            "give_up_s": _GIVE_UP_S,
        }
        self._owner_pid = os.getpid()
        self._turn = threading.RLock()
        self._flushes = 0
        self._supervisor: Supervisor | None = None
        self._was_started = False
        self.sources = SourceTable()

    def describe(self, description: SourceDescription) -> LogSource:
        """Add a source to the session."""
        self._check_owner()
        with self._turn:
            source = self.sources.add(self.queue, description)
            write_description(Path(self._settings["directory"]), self._settings["session"]["id"], description)
            self.queue.hub.notes[Note.DESCRIBED] += 1
            self.sources.put_onsets(self.queue)
            return source

    @property
    def started(self) -> bool:
        """Whether `start` was called and `stop` was not."""
        return self._supervisor is not None

    @property
    def alive(self) -> bool:
        """Whether a logger process runs or is about to be restarted."""
        return self._supervisor is not None and self._supervisor.alive

    def start(self) -> None:
        """Start a logger process, unless one was."""
        self._check_owner()
        with self._turn:
            if self._supervisor is not None:
                return
            if self._was_started:
                self._make_directory()
            self._warn_of_others()
            if self.queue.state == "failed":
                self.queue.state = "new"
            if self.queue.state == "closed":
                raise RuntimeError("expected the user that made the logger to start it, got another")
            self._was_started = True  # also if it fails: what was accepted is written at the end, or left to recovery
            self._supervisor = Supervisor(self.queue, self._settings)
            self._supervisor.watch()
            self.sources.put_onsets(self.queue)

    def _make_directory(self) -> None:
        """Make the log directory again where somebody removed it: what the lanes hold still goes there."""
        Path(self._settings["directory"]).mkdir(parents=True, exist_ok=True)

    def _warn_of_others(self) -> None:
        """Say once that another session's messages lie in the directory, unless the program chose what to do."""
        if self._settings["warned"]:
            return
        self._settings["warned"] = True
        directory = Path(self._settings["directory"])
        if holds_messages(directory, self.queue.id) or awaits_recovery(directory):
            warnings.warn(
                f"messages of another session lie in {directory}; assembly gives each session its own archives. "
                'DataLogger(session="new") takes a further directory, "refuse" raises, "continue" says it is meant',
                UserWarning,
                stacklevel=4,
            )

    def stop(self) -> None:
        """Have everything written, end the process, and raise if something is not on disk."""
        self._check_owner()
        with self._turn:
            supervisor = self._supervisor
            if supervisor is None:
                return
            self._ask_to_close()
            try:
                self._wait_for_end(supervisor)
            finally:
                if not supervisor.alive:
                    self._supervisor = None
            failed = self.queue.state == "failed"
            self.queue.hub.change_state("closing", "new")
            if failed or self.queue.hub.notes[Note.ENDED] != Ended.DONE:
                self._complain(supervisor, failed=failed)

    def _ask_to_close(self) -> None:
        """Store "closing", whatever a logger process that starts at this moment stores.

        A program that has become another user since can neither start another logger process nor remove the queue: for
        it, this is the end of the queue, and the logger process removes it.
        """
        end = "closing" if self.queue.removable else "closed"
        while (state := self.queue.state) in ("new", "running", "restarting"):
            if self.queue.hub.change_state(state, end):
                return

    def flush(self, timeout: float | None) -> None:
        """Ask the logger process to sync, and wait until it did."""
        self._check_owner()
        notes = self.queue.hub.notes
        deadline = time.monotonic() + (1e9 if timeout is None else timeout)
        with self._turn:
            if self._supervisor is None:
                raise RuntimeError("expected a logger that was started, got none to flush")
            asked = notes[Note.FLUSH_ASKED] + 1
            notes[Note.FLUSH_ASKED] = asked
            self.queue.hub.wake()
            pause_s = 0.0002
            while notes[Note.FLUSHED] < asked:
                if not self._supervisor.alive:
                    raise ChildProcessError(f"expected a living logger process to flush, got {self._supervisor.error}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"expected everything on the disk within {timeout} s, got no answer")
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, 0.01)
            if error := notes[Note.FLUSH_ERRNO]:
                raise OSError(error, self._supervisor.heard_losses() or os.strerror(error))

    def leave(self) -> None:
        """Put everything away when the DataLogger is collected or the program ends; only its owner does."""
        if os.getpid() != self._owner_pid:
            return
        if self._supervisor is not None and _exiting.is_set() and self._is_in_use():
            return  # the logger process goes on for those that put, and ends after them
        try:
            self.stop()
            if self._was_started:
                self._write_the_rest()
        except (OSError, RuntimeError) as error:
            warnings.warn(f"the log in {self.queue.directory} is not complete: {error}", RuntimeWarning, stacklevel=2)
            if self._was_started:
                return  # what the lanes hold is left to recovery
        is_recorded = bool(self.queue.hub.notes[Note.RECORDED])
        lost = self.queue.discard()
        if is_recorded:
            self._forget()
        if lost > self.sources.onsets:
            warnings.warn(
                f"{lost - self.sources.onsets} messages were put into a logger that was never started, and are dropped",
                RuntimeWarning,
                stacklevel=2,
            )

    def _forget(self) -> None:
        """Take a queue out of the owner record whose start failed, or a recovery would miss it."""
        directory = Path(self._settings["directory"])
        with suppress(OSError), LogDirectory(directory, "logger", queue_id=self.queue.id, patience_s=-1) as locked:
            locked.record.without(self.queue.id).write(locked.descriptor)

    def _write_the_rest(self) -> None:
        """Refuse further puts and write those that came after the last stop."""
        self.queue.state = "closed"
        if self.queue.empty():
            return
        self._make_directory()
        supervisor = Supervisor(self.queue, self._settings)
        supervisor.run()
        if self.queue.hub.notes[Note.ENDED] != Ended.DONE:
            self._complain(supervisor, failed=self.queue.state == "failed")

    def _is_in_use(self) -> bool:
        mine = own_identity()
        return any(lane.owner != mine and lane.owner_alive() for lane in self.queue.held_lanes())

    def _wait_for_end(self, supervisor: Supervisor) -> None:
        if supervisor.join(_SHOW_AFTER_S):
            return
        total, done = self._left(), 0
        with make_bar("writing the log", total, unit=" messages", leave=False) as bar:
            while not supervisor.join(_STEP_S):
                left = self._left()
                total = bar.total = max(total, done + left)
                bar.update(total - left - done)
                done = total - left

    def _left(self) -> int:
        """Return how many messages have no place on the disk yet."""
        waiting = self.queue.qsize()
        if self._settings["storage"] == "journal":
            return waiting
        written = sum(self.queue.hub.sources.cast("Q")[0::4])
        return waiting + max(written - self.queue.hub.notes[Note.EXPANDED], 0)

    def _complain(self, supervisor: Supervisor, *, failed: bool) -> None:
        counts = {
            source: found.accepted - found.written
            for source, found in statistics_of(self.queue).sources.items()
            if found.accepted > found.written and not self.queue.empty()
        }
        with suppress(FileNotFoundError):  # the directory was removed
            for source, count in without_file(Path(self._settings["directory"]), self.queue.id).items():
                counts[source] = counts.get(source, 0) + count
        missing = (
            ", ".join(f"{count} of source {source}" for source, count in sorted(counts.items())) or "nothing known"
        )
        kept = "the lanes and journals keep them for a later start or recover_log_directory"
        why = "; ".join(filter(None, (supervisor.heard_losses(), supervisor.error)))
        message = f"expected every accepted message on disk, got without: {missing}; {kept}; {why}"
        raise ChildProcessError(message) if failed else OSError(message)

    def _check_owner(self) -> None:
        if os.getpid() != self._owner_pid:
            raise RuntimeError("expected the process that made the logger, got another; children use its input_queue")
