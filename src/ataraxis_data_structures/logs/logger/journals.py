"""The journals of a logger process: the one that grows, those before it, and what is made of them."""

import errno
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import ArchiveError
from ...memory.consumer import LogDrain
from ...system import process
from ...system.disk import file_size_limit
from ..control_words import Note
from ..journal import layout
from ..journal.holdings import Holdings
from ..journal.renew import renew
from ..journal.writer import Appender
from ..pending import move_journals
from .npy_thread import Expander
from .sync import Syncer, WriteBack

_STORAGE = {"npy": layout.NPY, "journal": layout.JOURNAL}
_AGAIN_S = 0.05
_SOURCE_AT = 28  # in a record's header


class Journals:
    """What a logger process appends to; one thread alone calls it."""

    def __init__(
        self,
        directory: Path,
        folder: int,
        drain: LogDrain,
        settings: dict[str, Any],
        *,
        is_pending: bool,
        is_needed: Callable[[], bool],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start the threads.

        While journals are pending no files are made of them; `join` begins with that. `is_needed` says whether a full
        disk is to be waited for without end, `failed` hears of a thread that ended.
        """
        self.directory = directory
        self._folder = folder
        self._drain = drain
        self._notes = drain.hub.notes
        self._settings = settings
        self._is_needed = is_needed
        self._stuck_since_s = 0.0
        self._is_moved = False
        self._rotate_at = 0
        self._limit = file_size_limit()
        self._complete: dict[str, tuple[int, Counter[int]]] = {}  # of storage journal: inode, messages by source
        self.syncer = Syncer(folder, settings["sync"], settings["sync_interval_ms"] / 1000, drain.sources, failed)
        self._failed = failed
        self.expander: Expander | None = None
        self._write_back = WriteBack(failed) if settings["storage"] == "journal" else None
        if not is_pending:
            self._begin_files()
        self.current: Appender

    @property
    def turn_bytes(self) -> int:
        """How much a lane may give at a time: where file sizes are limited, what fits into a journal."""
        return min(1 << 18, max(self._limit // 8, 1))

    @property
    def caught_up(self) -> bool:
        """Whether the messages of the current journal have their files, or need none."""
        return self.expander is None or self.expander.has_reached(self.current.path, self.current.position)

    def _begin_files(self) -> None:
        if self._settings["storage"] == "npy":
            self.expander = Expander(
                process.boot_id(),
                self._settings["give_up_s"],
                made=self._count_file,
                removes=self.syncer.forget,
                failed=self._failed,
            )

    def join(self, directory: Path, folder: int) -> None:
        """Move the journals, which were pending, into the log directory, and begin with what is made of them."""
        old = self.directory
        own = [path.name for path in Holdings(old).journals()]
        self.syncer.move(folder, directory, lambda: move_journals(old))
        self.directory, self._folder = directory, folder
        self.current.path = directory / self.current.path.name
        self._begin_files()
        if self.expander is not None:
            self._complete.clear()
            for name in own:
                is_current = name == self.current.path.name
                self.expander.take(directory / name, self.current.position if is_current else None)

    def adopt(self, path: Path, header: layout.Header | None) -> None:
        """Take on what an earlier process left: it is forced to the disk and expanded as our own."""
        renew(path, header)
        self.syncer.watch(path)
        if self.expander is not None and header is not None and header.storage == layout.NPY:
            with suppress(ArchiveError):  # what is damaged is left to recovery, which names it
                self.expander.take(path)

    def open(self, claims: dict[int, int] | None = None) -> None:
        """Begin a new journal; the one before, if there is one, is the caller's to close."""
        header = layout.Header(
            self._settings["queue_id"],
            max(Holdings(self.directory).next_number(self._settings["queue_id"]), self._notes[Note.NUMBER]),
            self._drain.salt or 0,
            _STORAGE[self._settings["storage"]],
            time.time_ns() // 1000,
            process.boot_id(),
        )
        self.current = Appender(self.directory, header, claims=claims)
        self._notes[Note.NUMBER] = header.number + 1
        self._rotate_at = min(self._settings["rotate_bytes"], self._limit // 2)
        self.syncer.watch(self.current.path, self.current.fd)
        if self.expander is not None:
            self.expander.take(self.current.path, self.current.position)
        if self._write_back is not None:
            self._write_back.take(self.current.path)

    def append(self, span: memoryview) -> None:
        """Append whole records; waits for room on a full disk, and turns from a broken journal to a new one."""
        if self.current.position > layout.HEADER_BYTES and self.current.position + len(span) > self._limit:
            self._rotate()
        while True:
            try:
                self.current.append(span, self._drain.sources)
            except OSError as error:
                self._endure(error, span)
            else:
                self._stuck_since_s, self._is_moved = 0.0, False
                return

    def taken(self) -> None:
        """Tell those that work on the journal that it has grown, and go on in another if it is large enough."""
        if self.expander is not None:
            self.expander.grown(self.current.path, self.current.position)
        if self._write_back is not None:
            self._write_back.grown(self.current.position)
        self.syncer.wake()
        if self.current.position >= self._rotate_at:
            self._rotate()

    def vanished(self, *, all_of_them: bool) -> Counter[int]:
        """Return, by source, how many messages lay in journals that somebody removed or moved away; tells it once.

        The current journal is followed by a new one then. Storage npy: files are made of what is still open.
        """
        lost: Counter[int] = Counter()
        if not self._is_there(self.current.path.name, os.fstat(self.current.fd).st_ino):
            old = self.current
            self.open()
            old.abandon()
            if self.expander is None:
                self.syncer.forget(old.path)
                lost.update(_counts(old))
            self._hand_over(old.path)
        for name, (inode, counts) in list(self._complete.items()) if all_of_them else ():
            if not self._is_there(name, inode):
                self.syncer.forget(self.directory / name)
                del self._complete[name]
                lost.update(counts)
        return lost

    def finish(self) -> bool:
        """Close the journal and wait for its files; False if some are missing, or may be in memory alone."""
        path, is_empty = self.current.path, not self.current.tally.sources()
        self._close(self.current)
        if is_empty and self.expander is None:
            self.syncer.forget(path)
            path.unlink(missing_ok=True)
        self.syncer.close()
        if self.expander is None:
            return True
        self.expander.grown(path, None)
        return self.expander.close()

    def _is_there(self, name: str, inode: int) -> bool:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_ino == inode
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        old = self.current
        try:
            self.open(old.tally.claims)
        except OSError as error:  # the log goes on in the old one
            self._notes[Note.TROUBLE] = error.errno or errno.EIO
            self._rotate_at += self._settings["rotate_bytes"]
            return
        if self.expander is None:
            self._complete[old.path.name] = os.fstat(old.fd).st_ino, _counts(old)
        self._close(old)
        self._hand_over(old.path)

    def _close(self, journal: Appender) -> None:
        try:
            journal.close()
        except OSError:  # no room for the footer: readers count for themselves
            journal.abandon()

    def _hand_over(self, path: Path) -> None:
        if self.expander is not None:
            self.expander.grown(path, None)

    def _endure(self, error: OSError, span: memoryview) -> None:
        """Wait for room on a full disk; turn from a journal that can't be written to a new one; else raise."""
        now_s = time.monotonic()
        self._stuck_since_s = self._stuck_since_s or now_s
        self._notes[Note.TROUBLE] = error.errno or errno.EIO
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            if now_s - self._stuck_since_s > self._settings["give_up_s"] and not self._is_needed():
                raise error
            time.sleep(_AGAIN_S)
            return
        if self._is_moved:  # the new one can't be written either
            raise _too_large(span, self._limit) if error.errno == errno.EFBIG else error
        self._is_moved = True
        old = self.current
        old.mark_off()  # before the next begins: whoever reads looks for an unmarked torn end in the last one alone
        self.open()
        old.abandon()
        self._hand_over(old.path)

    def _count_file(self) -> None:
        self._notes[Note.EXPANDED] += 1


def _counts(journal: Appender) -> Counter[int]:
    return Counter({source: messages for source, messages, _, _ in journal.tally.sources()})


def _too_large(span: memoryview, limit: int) -> OSError:
    return OSError(
        errno.EFBIG,
        f"expected a limit of file sizes (ulimit -f) that lets a message of source {span[_SOURCE_AT]} with "
        f"{len(span)} bytes into a journal, got {limit}",
    )
