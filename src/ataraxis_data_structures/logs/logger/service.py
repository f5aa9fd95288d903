"""The logger process: from the lanes into the journal, until there is nobody left to write for."""

import errno
import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from ...errors import QueueBusyError
from ...memory.consumer import LogDrain
from ...system import process
from ...system.process import own_identity
from ..control_words import REPORT, Ended, Note
from ..journal import layout
from ..journal.resume import journals_of, next_number, release_written
from ..journal.writer import Appender
from ..log_directory import LogDirectory
from ..owner_record import RecordedQueue
from ..recovery.files import expand_journals
from ..recovery.lanes import is_for_files, salvage_dead
from ..sessions import LogSession, holds_messages, message_files, read_record, record_path, session_of, write_record
from .npy_thread import Expander
from .sync import Syncer, WriteBack

_TURN_BYTES = 1 << 18
_WAIT_S = 0.5
_STORAGE = {"npy": layout.NPY, "journal": layout.JOURNAL}
_AGAIN_S = 0.05
_LATECOMERS_S = 1.0
_ENDING = ("closing", "closed")


class Writer:
    """Drains the lanes of one queue into journals."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.directory = Path(settings["directory"])
        self._settings = settings
        self._lock = LogDirectory(
            self.directory, "logger", queue_id=settings["queue_id"], patience_s=settings["patience_s"]
        )
        self._drain = LogDrain.attach(settings["queue"], directory=self.directory)
        self._notes = self._drain.hub.notes
        self._words = self._drain.sources
        self._terminated = False
        self._failure: OSError | None = None
        self._flush_tails: dict[int, int] | None = None
        self._flush_asked = 0
        self._closing_tails: dict[int, int] | None = None
        self._closing_since_s = 0.0
        self._orphaned = False
        self._stuck_since_s = 0.0
        self._is_moved = False
        self._rotate_at = 0
        self._session: LogSession | None = None
        release_written(self._drain, self.directory, settings["queue_id"])
        self._syncer = Syncer(
            self.directory, settings["sync"], settings["sync_interval_ms"] / 1000, self._words, self._fail
        )
        self._expander = self._write_back = None
        if settings["storage"] == "journal":
            self._write_back = WriteBack()
        else:
            self._expander = Expander(process.boot_id(), settings["give_up_s"], self._count_file)
        salvage_dead(self._lock)
        self._write_record()
        self._begin_session()
        for path in journals_of(self.directory):
            self._adopt(path)
        self._journal = self._open_journal(None)

    def _begin_session(self) -> None:
        """Leave the session's record, unless an earlier process of it did."""
        session = session_of(self._settings["session"])
        if session is None:
            return
        self._session = read_record(self.directory, session.id)
        if self._session is not None:  # an earlier process of the session left it
            return
        if session.storage == "npy":  # so that files made late from journals of others are not taken for ours
            expand_journals(self.directory)
        earlier = tuple(message_files(self.directory))
        self._session = replace(session, started_us=time.time_ns() // 1000, earlier=earlier)
        # Programs that count message files find nothing else beside them, unless there is something to say.
        is_told = session.storage == "journal" or session.metadata or self._notes[Note.DESCRIBED]
        if is_told or holds_messages(self.directory, self._settings["queue_id"]):
            write_record(self.directory, self._session)

    def _tell_of_late_sources(self) -> None:
        """Leave the record of a session whose first description came late: it tells which files are its own."""
        session = self._session
        if session is None or record_path(self.directory, session.id).exists():
            return
        if self._notes[Note.DESCRIBED]:
            with suppress(OSError):  # tried again, and at the end
                write_record(self.directory, session)

    def _end_session(self) -> None:
        session = self._session
        if session is None:
            return
        dropped = self._drain.dropped()
        is_told = record_path(self.directory, session.id).exists() or self._notes[Note.DESCRIBED]
        if not (dropped or is_told):
            return
        with suppress(OSError):  # a full disk: the messages matter more
            write_record(self.directory, replace(session, ended_us=time.time_ns() // 1000, dropped=dropped))

    def _write_record(self) -> None:
        """Note that the messages of this queue belong here, besides earlier queues that were not found."""
        place = self._lock.status
        queue = RecordedQueue(
            queue=self._settings["queue"],
            queue_id=self._settings["queue_id"],
            owner=self._settings["owner"],
            logger=own_identity(),
            storage=self._settings["storage"],
            boot_id=process.boot_id().hex(),
            pid_namespace=process.pid_namespace(),
            path=str(self._lock.path),
            device=place.st_dev,
            inode=place.st_ino,
        )
        self._lock.record.without_copied(place).with_queue(queue).write(self._lock.descriptor)
        self._notes[Note.RECORDED] = 1

    def _erase_record(self) -> None:
        """Note that nothing of this queue's is anywhere else; a put after this is found by device and inode."""
        self._notes[Note.RECORDED] = 0
        self._lock.record.without(self._settings["queue_id"]).write(self._lock.descriptor)

    def run(self) -> int:
        """Write until the owner says stop or nobody is left; return the exit status."""
        signal.signal(signal.SIGTERM, self._terminate)
        self._notes[Note.LOGGER] = own_identity()
        # By compare-and-swap: a stop() may be storing "closing" at this moment, and nobody would store it again.
        if not self._drain.change_state("new", "running"):
            self._drain.change_state("restarting", "running")
        report(ready=os.getpid())
        looked_s = 0.0
        while True:
            busy = self._turn()
            if self._failure is not None:
                return self._give_up(self._failure)
            if self._notes[Note.FLUSH_ASKED] != self._notes[Note.FLUSHED]:
                self._flush()
            if self._ended(busy=busy):
                return self._finish()
            if busy:
                continue
            if time.monotonic() - looked_s > _WAIT_S:
                looked_s = time.monotonic()
                self._look_around()
            self._drain.wait(_WAIT_S)

    def _turn(self) -> bool:
        """Write one round of spans, the same share of each lane."""
        busy = False
        for lane, span in self._drain.turns(_TURN_BYTES):
            self._append(span)
            lane.release(len(span))
            busy = True
        if busy:
            if self._expander is not None:
                self._expander.grown(self._journal.path, self._journal.position)
            if self._write_back is not None:
                self._write_back.grown(self._journal.position)
            self._syncer.wake()
            if self._journal.position >= self._rotate_at:
                self._rotate()
        return busy

    def _append(self, span: memoryview) -> None:
        while True:
            try:
                self._journal.append(span, self._words)
            except OSError as error:
                self._endure(error)
            else:
                self._stuck_since_s, self._is_moved = 0.0, False
                return

    def _endure(self, error: OSError) -> None:
        """Wait for room on a full disk; turn from a journal that can't be written to a new one; else give up."""
        now_s = time.monotonic()
        self._stuck_since_s = self._stuck_since_s or now_s
        self._notes[Note.TROUBLE] = error.errno or errno.EIO
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            if now_s - self._stuck_since_s > self._settings["give_up_s"] and not self._is_needed():
                raise error
            time.sleep(_AGAIN_S)
            return
        if self._is_moved:  # the new one can't be written either
            raise error
        self._is_moved = True
        old = self._journal
        self._journal = self._open_journal(None)
        old.abandon()
        self._hand_over(old.path)

    def _is_needed(self) -> bool:
        return self._drain.state == "running" and not self._terminated

    def _open_journal(self, claims: dict[int, int] | None) -> Appender:
        header = layout.Header(
            self._settings["queue_id"],
            max(next_number(self.directory, self._settings["queue_id"]), self._notes[Note.NUMBER]),
            self._drain.salt or 0,
            _STORAGE[self._settings["storage"]],
            time.time_ns() // 1000,
            process.boot_id(),
        )
        journal = Appender(self.directory, header, claims=claims)
        self._notes[Note.NUMBER] = header.number + 1
        self._rotate_at = self._settings["rotate_bytes"]
        self._syncer.watch(journal.path)
        if self._expander is not None:
            self._expander.take(journal.path, journal.position)
        if self._write_back is not None:
            self._write_back.take(journal.path)
        return journal

    def _rotate(self) -> None:
        old = self._journal
        try:
            self._journal = self._open_journal(old.tally.claims)
        except OSError as error:  # the log goes on in the old one
            self._notes[Note.TROUBLE] = error.errno or errno.EIO
            self._rotate_at += self._settings["rotate_bytes"]
            return
        self._close_journal(old)
        self._hand_over(old.path)

    def _close_journal(self, journal: Appender) -> None:
        try:
            journal.close()
        except OSError:  # no room for the footer: readers count for themselves
            journal.abandon()

    def _hand_over(self, path: Path) -> None:
        if self._expander is not None:
            self._expander.grown(path, None)

    def _adopt(self, path: Path) -> None:
        """Take on what an earlier process left: it is forced to the disk and expanded as our own."""
        self._syncer.watch(path)
        if self._expander is not None and is_for_files(path):
            self._expander.take(path)

    def _flush(self) -> None:
        """Sync once everything that waited when the flush was asked for is written."""
        if self._flush_tails is None:
            self._flush_asked = self._notes[Note.FLUSH_ASKED]
            self._flush_tails = self._tails()
        if not self._is_written(self._flush_tails):
            return
        self._flush_tails = None
        try:
            self._syncer.sync()
        except OSError as error:
            self._fail(error)
            self._notes[Note.FLUSH_ERRNO] = error.errno or errno.EIO
        else:
            self._notes[Note.FLUSH_ERRNO] = 0
        self._notes[Note.FLUSHED] = self._flush_asked

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
        self._tell_of_late_sources()
        if not self._orphaned and not self._drain.creator_alive and not self._drain.owners_alive():
            self._close_if_abandoned()
            self._orphaned = True

    def _retire(self) -> None:
        self._drain.retire_finished()

    def _finish(self) -> int:
        """Close the journal, wait for its files, and leave the directory as the end of the log wants it."""
        journal, path = self._journal, self._journal.path
        is_empty = not journal.tally.sources()
        self._close_journal(journal)
        if is_empty and self._expander is None:
            path.unlink(missing_ok=True)
        self._syncer.close()
        self._retire()
        done = True
        if self._expander is not None:
            self._expander.grown(path, None)
            done = self._expander.close()
        self._retire()
        self._end_session()
        is_over = self._drain.idle and self._drain.state == "closed"
        if self._terminated and not self._orphaned and self._drain.state == "running":
            self._drain.close()
            return 0  # the owner, if it lives, starts another
        for name, why in self._drain.unreadable.items():
            report(error=f"expected to read the lane {name}, and could not: {why}", errno=errno.EIO)
            done = False
        if lost := self._drain.lost:
            counts = ", ".join(f"{count} of source {source}" for source, count in sorted(lost.items()))
            report(
                error=f"expected the files of all large messages, got none or damaged ones of {counts}", errno=errno.EIO
            )
            done = False
        if done:
            self._erase_record()
        self._notes[Note.ENDED] = Ended.DONE if done else Ended.UNFINISHED
        if is_over:
            self._drain.remove()
        self._drain.close()
        return 0

    def _give_up(self, error: OSError) -> int:
        report(error=str(error), errno=error.errno)
        self._drain.state = "failed"
        self._journal.abandon()
        self._notes[Note.ENDED] = Ended.UNFINISHED
        return 1

    def _fail(self, error: OSError) -> None:
        """Stop everything because of an error in a thread."""
        self._failure = error
        self._drain.hub.wake()

    def _count_file(self) -> None:
        self._notes[Note.EXPANDED] += 1

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True


def report(**facts: object) -> None:
    """Tell the owner, if it still listens."""
    with suppress(OSError):
        os.write(2, REPORT + json.dumps(facts).encode() + b"\n")


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
