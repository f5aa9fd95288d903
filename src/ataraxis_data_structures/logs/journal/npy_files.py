"""A journal into one .npy file for each message, each exactly once, whenever the process that does it dies.

Before a file is made, the journal's header page says which record it is for and which name was found free. The page
is mapped, so it outlives a SIGKILL: whoever goes on knows that all before that record have their file, and that a file
of the chosen name can only be this record's own, perhaps unfinished. After a power cut the page and the files may be
older than one another: then every record is held against the files that are there; after a sync that failed, those
files are written anew as well.
"""

import mmap
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ..._core import bulk, frame, npz
from ...errors import ArchiveError
from . import layout
from .layout import Header, Unsynced, Words
from .words import open_words

_ROW = struct.Struct(frame.ROW_FORMAT)
_STAMP = struct.Struct("<BQ")
_NAME_CHOSEN = 1
_MARK = frame.CHECKPOINT | frame.FOOTER
_ROWS_AT_ONCE = 1024
_STEMS_KEPT = 4096
_JOINED_BYTES = 1 << 20  # one call for a small message costs less than none for the copy


class Expansion:
    """One journal on its way into files; whoever holds the log directory's lock may have one."""

    def __init__(self, path: Path, boot_id: bytes, header: Header | None = None) -> None:
        """Open a journal; `header` is its own where the caller has read it."""
        self.path = path
        self._damaged: set[tuple[int, int]] = set()
        self._claimed: set[str] = set()
        self._next: dict[str, int] = {}  # below this suffix, all names of a stem are taken
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        header = header or layout.parse_header(os.pread(self._fd, layout.HEADER_BYTES, 0))
        if header is None:
            os.close(self._fd)
            os.close(self._directory)
            raise ArchiveError(f"expected a journal, got {path}")
        self._words = open_words(self._fd)
        self.header = header
        self.is_distrusted = False
        """Whether a sync failed since files were made from it here."""
        self._rewrites = bool(self._words[Words.UNSYNCED] & Unsynced.FILES)
        self._compare = self._rewrites or header.boot_id != boot_id
        if self._compare:
            self._words[Words.EXPANDED] = layout.HEADER_BYTES
        self.position = self._words[Words.EXPANDED] & ~7

    def advance(self, limit: int, stopped: Callable[[], bool] = bool) -> int:
        """Make the files of the records up to `limit`, a border between records; return how many they were."""
        made = 0
        for source, time, payload in self._rows(limit):
            self._make(source, time, payload)
            made += 1
            if stopped():
                break
        else:
            self._words[Words.EXPANDED] = self.position = max(limit, self.position)
        return made

    def left(self) -> Counter[int]:
        """Count, by source, the messages that have no file yet; nothing else may be done with it afterwards."""
        return Counter(source for source, _, _ in self._rows(self.end()))

    def end(self) -> int:
        """Return where the records of a journal end that nobody writes any more."""
        end, check = self._words[Words.END], self._words[Words.END_CHECK]
        size = os.fstat(self._fd).st_size
        return end if end == check ^ 0xFFFF_FFFF_FFFF_FFFF and layout.HEADER_BYTES <= end <= size else size

    @property
    def damaged_bytes(self) -> int:
        """Bytes among those looked at so far that no valid record covers."""
        return sum(stop - start for start, stop in self._damaged)

    def sync(self) -> None:
        """Return when the files are on the disk; after an OSError, mark all that are under way and make them anew."""
        if self.position > layout.HEADER_BYTES:
            bulk.syncfs(self._directory)

    def distrust(self) -> None:
        """Mark the files that were made so far as perhaps in memory alone: whoever goes on writes them anew."""
        if self.position > layout.HEADER_BYTES:
            self._words[Words.UNSYNCED] = self._words[Words.UNSYNCED] | Unsynced.FILES
            self.is_distrusted = True

    def remove(self) -> None:
        """Remove the journal, whose files are synced; a damaged one is kept aside for people to look at."""
        with suppress(FileNotFoundError):  # somebody removed it before
            if self.damaged_bytes:
                self.path.rename(self.path.with_name(f"{self.path.name}.damaged"))
            else:
                self.path.unlink()
        self.close()

    def close(self) -> None:
        """Let go of the journal and the directory."""
        if self._fd >= 0:
            self._words.release()
            os.close(self._fd)
            os.close(self._directory)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, limit: int) -> Iterator[tuple[int, int, memoryview]]:
        """Yield (source, time, payload) of each message that ends before `limit`, `position` standing on its record."""
        if limit <= self.position:
            return
        with mmap.mmap(self._fd, limit, access=mmap.ACCESS_READ) as view, memoryview(view) as whole:
            scanner = frame.Scanner(view, self.header.salt, start=self.position)
            try:
                while rows := scanner.next(_ROWS_AT_ONCE):
                    for offset, time, _, length, claim, source, flags in _ROW.iter_unpack(rows):
                        self.position = offset
                        if not claim or flags & (frame.GAP | _MARK):
                            continue
                        start = offset + frame.RECORD_BYTES
                        if flags != frame.MESSAGE:  # whatever it is, this version cannot tell
                            self._damaged.add((offset, offset + frame.span(length)))
                            continue
                        with whole[start : start + length] as payload:
                            yield source, time, payload
                    self._damaged.update(scanner.damaged)
                self._damaged.update(scanner.damaged)
            finally:
                del scanner  # the map can't be closed under it

    def _make(self, source: int, time: int, payload: memoryview) -> None:
        words, stem = self._words, f"{source:03d}_{time:020d}"
        if words[Words.EXPANDED] == self.position | _NAME_CHOSEN:  # whoever was here before got this far
            self._write(_name(stem, words[Words.SUFFIX]), os.O_TRUNC, source, time, payload)
            return
        words[Words.EXPANDED] = self.position
        suffix = self._next.get(stem, 0)
        while True:
            suffix = self._free(stem, suffix, source, time, payload)
            if suffix < 0:
                return
            words[Words.SUFFIX] = suffix
            words[Words.EXPANDED] = self.position | _NAME_CHOSEN
            try:
                self._write(_name(stem, suffix), os.O_EXCL, source, time, payload)
            except FileExistsError:  # a stranger made it meanwhile: leave it alone
                words[Words.EXPANDED] = self.position
                suffix += 1
            else:
                return

    def _free(self, stem: str, suffix: int, source: int, time: int, payload: memoryview) -> int:
        """Return the first free suffix from `suffix` on; -1 if the message turns out to have its file already."""
        while os.access(name := _name(stem, suffix), os.F_OK, dir_fd=self._directory, follow_symlinks=False):
            if self._compare and name not in self._claimed:
                verdict = self._judge(name, source, time, payload)
                if verdict is not None:
                    self._claim(stem, suffix)
                    return -1 if verdict else suffix
            suffix += 1
        self._claim(stem, suffix)
        return suffix

    def _claim(self, stem: str, suffix: int) -> None:
        """Note whose a name is, so that a clock that stands still does not cost a look at each file of before."""
        if self._compare:
            self._claimed.add(_name(stem, suffix))
            if suffix != self._next.get(stem, 0):  # one below may still be found to be a message's own
                return
        elif len(self._next) >= _STEMS_KEPT:
            self._next.clear()  # the price is one search from the start
        self._next[stem] = suffix + 1

    def _judge(self, name: str, source: int, time: int, payload: memoryview) -> bool | None:
        """Compare a file from before a power cut: True: this message, None: another, False: torn and gone."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._directory)
        try:
            got = os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
        if got == _head(source, time, payload) + payload:
            if self._rewrites:
                self._replace(name, source, time, payload)
            return True
        if npz.array_items(got):
            return None
        os.unlink(name, dir_fd=self._directory)
        return False

    def _replace(self, name: str, source: int, time: int, payload: memoryview) -> None:
        """Write a file anew whose bytes are as they should be, but may be in memory alone."""
        aside = f".{name}.tmp"
        self._write(aside, os.O_TRUNC, source, time, payload)
        os.rename(aside, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _write(self, name: str, flag: int, source: int, time: int, payload: memoryview) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o666, dir_fd=self._directory)
        try:
            head = _head(source, time, payload)
            if len(payload) <= _JOINED_BYTES:
                _write_all(fd, memoryview(head + payload))
            else:
                _write_all(fd, memoryview(head))
                _write_all(fd, payload)
        except BaseException:
            with suppress(OSError):  # half a message must not be taken for one; the chosen name stays ours
                os.unlink(name, dir_fd=self._directory)
            raise
        finally:
            os.close(fd)


def remove_expanded(expansions: list[Expansion]) -> None:
    """Sync the files of journals, all of whose messages have theirs, and remove the journals.

    Raises:
        OSError: The sync failed; the journals stay, and their files are made anew by whoever goes on.
    """
    for done, expansion in enumerate(expansions):
        try:
            expansion.sync()
        except OSError:
            for left in expansions[done:]:
                left.distrust()
                left.close()
            raise
        expansion.remove()


def _head(source: int, time: int, payload: memoryview) -> bytes:
    return npz.array_header(_STAMP.size + len(payload)) + _STAMP.pack(source, time)


def _name(stem: str, suffix: int) -> str:
    return f"{stem}_{suffix}.npy" if suffix else f"{stem}.npy"


def _write_all(fd: int, data: memoryview) -> None:
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])
