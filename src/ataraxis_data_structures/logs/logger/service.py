"""The logger process: from the lanes into the journal, until there is nobody left to write for."""

import errno
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from ...errors import QueueBusyError
from ...memory.consumer import LogDrain
from ...system import platform, process
from ...system.process import own_identity
from ..control_words import REPORT, Ended, Note
from ..journal.holdings import Holdings
from ..journal.resume import release_written
from ..log_directory import LogDirectory, WorkedOnError
from ..owner_record import RecordedQueue
from ..pending import PendingFolder, join_pending, refuse_waiting_logger
from ..recovery.lanes import salvage_dead
from .journals import Journals
from .session_record import SessionRecord

_WAIT_S = 0.5
_AGAIN_S = 0.05
_FILES_S = 0.5
_STEP_S = 0.002
_LATECOMERS_S = 1.0
_ENDING = ("closing", "closed")


class Writer:
    """Drains the lanes of one queue into journals."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.directory = Path(settings["directory"])
        self._settings = settings
        self._lock, self._pending = self._take_place()
        self._drain = LogDrain.attach(settings["queue"], directory=self.directory)
        self._notes = self._drain.hub.notes
        self._terminated = False
        self._failure: BaseException | None = None
        self._flush_tails: dict[int, int] | None = None
        self._flush_asked = 0
        self._answer_by_s = 0.0
        self._closing_tails: dict[int, int] | None = None
        self._closing_since_s = 0.0
        self._orphaned = False
        self._is_unnamed = False
        self._session: SessionRecord | None = None
        journals = self.directory if self._pending is None else self._pending.path
        holdings = Holdings(journals)
        if self._lock is not None:
            self._write_record(self._lock)
            if join_pending(journals, holdings.large):
                holdings = Holdings(journals)
        release_written(self._drain, holdings, settings["queue_id"])
        self._journals = Journals(
            journals, self._folder, self._drain, settings,
            is_pending=self._pending is not None, is_needed=self._is_needed, failed=self._fail,
        )  # fmt: skip
        if self._lock is not None:
            self._settle(self._lock, holdings)
            holdings = Holdings(journals)  # anew: files may have been made of a journal, which is gone
        for path in holdings.journals():
            self._journals.adopt(path, holdings.header(path))
        self._journals.open()

    def _take_place(self) -> tuple[LogDirectory | None, PendingFolder | None]:
        """Take the log directory, or a folder of its own in it while an assembly or a recovery has the directory."""
        lock = None
        with suppress(WorkedOnError):  # which may take an hour
            lock = self._take_directory(self._settings["patience_s"])
        queue_id = self._settings["queue_id"]
        refuse_waiting_logger(self.directory, Holdings(self.directory).large, queue_id)
        return lock, PendingFolder(self.directory, queue_id) if lock is None else None

    def _take_directory(self, patience_s: float) -> LogDirectory:
        return LogDirectory(self.directory, "logger", queue_id=self._settings["queue_id"], patience_s=patience_s)

    @property
    def _folder(self) -> int:
        """The descriptor of the folder that the journals lie in."""
        if self._pending is not None:
            return self._pending.descriptor
        assert self._lock is not None  # noqa: S101 one of them is there
        return self._lock.descriptor

    def _settle(self, lock: LogDirectory, holdings: Holdings) -> None:
        """Finish what others left in the log directory, and begin the session's record there.

        No thread of this process may make files yet: what is left is made into files here.
        """
        salvage_dead(lock, holdings)
        self._session = SessionRecord(self.directory, self._settings["session"], self._drain)

    def _join(self) -> None:
        """Move pending journals into the log directory, if it is free now."""
        if self._pending is None:
            return
        try:
            lock = self._take_directory(-1.0)
        except WorkedOnError:
            return
        # The record first: should this process be killed in between, no assembly takes the journals that were moved.
        self._write_record(lock)
        join_pending(self.directory, Holdings(self.directory).large, patience_s=0.0)
        self._settle(lock, Holdings(self.directory))
        left = Holdings(self.directory)
        self._journals.join(self.directory, lock.descriptor)
        for path in left.journals():
            self._journals.adopt(path, left.header(path))
        self._lock = lock
        self._pending.release()
        self._pending = None

    def _join_in_time(self) -> bool:
        """Wait for the log directory at the end; False if whoever works there does not end in time."""
        deadline = time.monotonic() + self._settings["join_s"]
        while self._pending is not None and time.monotonic() < deadline:
            self._join()
            if self._pending is not None:
                time.sleep(_AGAIN_S)
        return self._pending is None

    def _is_needed(self) -> bool:
        return self._drain.state == "running" and not self._terminated

    def _write_record(self, lock: LogDirectory) -> None:
        """Note that the messages of this queue belong here, besides earlier queues that were not found."""
        place = lock.status
        queue = RecordedQueue(
            queue=self._settings["queue"],
            queue_id=self._settings["queue_id"],
            owner=self._settings["owner"],
            logger=own_identity(),
            storage=self._settings["storage"],
            boot_id=process.boot_id().hex(),
            pid_namespace=process.pid_namespace(),
            path=str(lock.path),
            device=place.st_dev,
            inode=place.st_ino,
        )
        lock.record.without_copied(place).with_queue(queue).write(lock.descriptor)
        self._notes[Note.RECORDED] = 1

    def _erase_record(self) -> None:
        """Note that nothing of this queue's is anywhere else; a put after this is found by device and inode."""
        self._notes[Note.RECORDED] = 0
        if self._lock is not None:
            self._lock.record.without(self._settings["queue_id"]).write(self._lock.descriptor)

    def run(self) -> int:
        """Write until the owner says stop or nobody is left; return the exit status."""
        signal.signal(signal.SIGTERM, self._terminate)
        self._notes[Note.LOGGER] = own_identity()
        # By compare-and-swap: a stop() may be storing "closing" at this moment, and nobody would store it again.
        if not self._drain.change_state("new", "running"):
            self._drain.change_state("restarting", "running")
        report(ready=os.getpid())
        try:
            return self._work()
        except FileNotFoundError as error:  # the directory was removed
            return self._give_up(error)

    def _work(self) -> int:
        looked_s = 0.0
        while True:
            busy = self._turn()
            if self._failure is not None:
                return self._give_up(self._failure)
            if time.monotonic() - looked_s > _WAIT_S:
                looked_s = time.monotonic()
                self._look_around()
            if self._notes[Note.FLUSH_ASKED] != self._notes[Note.FLUSHED]:
                self._flush()
            if self._ended(busy=busy):
                return self._finish()
            if not busy:
                self._drain.wait(_STEP_S if self._answer_by_s else _WAIT_S)

    def _turn(self) -> bool:
        """Write one round of spans, the same share of each lane."""
        busy = False
        for lane, span in self._drain.turns(self._journals.turn_bytes):
            self._journals.append(span)
            lane.release(len(span))
            busy = True
        if busy:
            self._journals.taken()
        return busy

    def _flush(self) -> None:
        """Sync once everything that waited when the flush was asked for is written, then answer."""
        if not self._answer_by_s:
            if self._flush_tails is None:
                self._flush_asked = self._notes[Note.FLUSH_ASKED]
                self._flush_tails = self._tails()
            if not self._is_written(self._flush_tails):
                return
            self._flush_tails = None
            self._answer_by_s = time.monotonic() + (_FILES_S if self._sync_all() else 0.0)
        # Who flushes looks for the files next: they are waited for a moment, though the journal has the messages.
        if self._journals.caught_up or time.monotonic() >= self._answer_by_s:
            self._answer_by_s = 0.0
            self._notes[Note.FLUSHED] = self._flush_asked

    def _sync_all(self) -> bool:
        self._look_for_losses(all_of_them=True)
        self._notes[Note.FLUSH_ERRNO] = errno.ENOENT if self._notes[Note.LOSSES] else 0
        try:
            self._journals.syncer.sync()
        except OSError as error:
            self._fail(error)
            self._notes[Note.FLUSH_ERRNO] = error.errno or errno.EIO
        return not self._notes[Note.FLUSH_ERRNO]

    def _tails(self) -> dict[int, int]:
        return {lane.claim: lane.tail for lane in self._drain.lanes()}

    def _is_written(self, tails: dict[int, int]) -> bool:
        return all(lane.head >= tails.get(lane.claim, 0) or lane.drained for lane in self._drain.lanes())

    def _ended(self, *, busy: bool) -> bool:
        if self._terminated or self._drain.state == "closing":
            self._close_if_abandoned()
        if self._terminated or self._orphaned:
            return not busy and self._drain.idle
        if self._drain.state not in _ENDING:
            return False
        if self._closing_tails is None:
            self._closing_tails = self._tails()
            self._closing_since_s = time.monotonic()
        if not self._is_written(self._closing_tails):
            return False
        # Producers may go on for ever: what comes after the stop stays in their lanes.
        return self._drain.idle or time.monotonic() - self._closing_since_s > _LATECOMERS_S

    def _close_if_abandoned(self) -> None:
        """Refuse further puts where the owner is dead: nobody would start another logger for them.

        The state is stored before the lanes are looked at for the last time: a put that returned stored its tail
        before it read the state, so its message is seen.
        """
        if not self._drain.creator_alive:
            self._drain.state = "closed"

    def _look_around(self) -> None:
        self._retire()
        self._join()
        if self._session is not None:
            self._session.tell_of_late_sources()
        self._look_for_losses(all_of_them=False)
        if not self._orphaned and not self._drain.creator_alive and not self._drain.owners_alive():
            self._close_if_abandoned()
            self._orphaned = True

    def _retire(self) -> None:
        self._drain.retire_finished()

    def _look_for_losses(self, *, all_of_them: bool) -> None:
        """Tell of what others removed since the last look: journals, or the directory, which ends the logger."""
        if is_removed(self._folder):
            words = self._drain.sources
            lost = Counter({source: count for source in range(256) if (count := words[4 * source])})
            raise FileNotFoundError(
                errno.ENOENT, f"{self.directory} was removed with what was logged to it: {listed(lost)}"
            )
        if lost := self._journals.vanished(all_of_them=all_of_them):
            self._tell_loss(f"journals were removed from {self.directory} with {listed(lost)}")
        if self._drain.vanished:
            self._tell_loss(f"{self._drain.vanished} lanes were removed from shared memory, with what they held")
            self._drain.vanished = 0
        if not self._is_unnamed and not (platform.FOLDER / self._drain.name).exists():
            self._is_unnamed = True
            report(
                warning=f"names of the log were removed from {platform.FOLDER}: everything is logged, but what waits "
                "there would be lost if this program and the logger process were killed"
            )

    def _tell_loss(self, what: str) -> None:
        report(loss=what)
        self._notes[Note.LOSSES] += 1

    def _finish(self) -> int:
        """Close the journal, wait for its files, and leave the directory as the end of the log wants it."""
        self._look_for_losses(all_of_them=True)
        done = self._join_in_time() and self._journals.finish()
        if self._failure is not None:
            return self._give_up(self._failure)
        self._retire()
        if self._session is not None:
            self._session.end()
        is_over = self._drain.idle and self._drain.state == "closed"
        if self._terminated and not self._orphaned and self._drain.state == "running":
            self._drain.close()
            return 0  # the owner, if it lives, starts another
        for what in self._unfinished():
            report(error=what, errno=errno.EIO)
            done = False
        if done:
            self._erase_record()
        is_whole = done and not self._notes[Note.LOSSES]
        self._notes[Note.ENDED] = Ended.DONE if is_whole else Ended.UNFINISHED
        if is_over:
            self._drain.remove()
        self._drain.close()
        return 0

    def _unfinished(self) -> Iterator[str]:
        """Yield what keeps the log from being complete, although the logger ends."""
        if self._pending is not None:
            yield (
                f"an assembly or recovery is still at work in {self.directory}: the journals stay in "
                f"{self._pending.path.name} until the next start, assembly or recovery"
            )
        expander = self._journals.expander
        if expander is not None and expander.unsynced is not None:
            yield f"files of messages could not be synced ({expander.unsynced}); their journals stay, to make them anew"
        for name, why in self._drain.unreadable.items():
            yield f"expected to read the lane {name}, and could not: {why}"
        if lost := self._drain.lost:
            yield f"expected the files of all large messages, got none or damaged ones of {listed(lost)}"

    def _give_up(self, error: BaseException) -> int:
        report(error=str(error) or repr(error), errno=getattr(error, "errno", None) or errno.EIO)
        self._drain.state = "failed"
        self._journals.current.abandon()
        self._notes[Note.ENDED] = Ended.UNFINISHED
        return 1

    def _fail(self, error: BaseException) -> None:
        """Stop everything because of an error in a thread."""
        self._failure = error
        self._drain.hub.wake()

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True


def report(**facts: object) -> None:
    """Tell the owner, if it still listens."""
    with suppress(OSError):
        os.write(2, REPORT + json.dumps(facts).encode() + b"\n")


def is_removed(folder: int) -> bool:
    """Tell whether the folder behind a descriptor has been removed."""
    try:
        return os.fstat(folder).st_nlink == 0
    except OSError as error:
        return error.errno == errno.ESTALE  # a network file system


def listed(counts: Counter[int]) -> str:
    """Return counts by source in words."""
    found = [f"{count} of source {source}" for source, count in sorted(counts.items()) if count]
    return ", ".join(found) or "messages that were not counted"


def main(settings: dict[str, Any]) -> None:
    """Run a logger process."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    try:
        status = Writer(settings).run()
    except QueueBusyError as error:
        report(busy=str(error))
        status = 1
    except OSError as error:
        report(error=str(error), errno=error.errno)
        status = 1
    # Threads that wait for work and maps that are still in use need no farewell; the kernel takes all back.
    os._exit(status)
