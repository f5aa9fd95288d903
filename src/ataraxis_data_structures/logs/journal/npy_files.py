"""A journal into one .npy file for each message, each exactly once, whenever the process that does it dies.

Before a file is made, the journal's header page says which record it is for and which name was found free. The page
is mapped, so it outlives a SIGKILL: whoever goes on knows that all before that record have their file, and that a file
of the chosen name can only be this record's own, perhaps unfinished. After a power cut the page and the files may be
older than one another: then every record is held against the files that are there.
"""

import errno
import mmap
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ..._core import disk, frame, npy
from . import layout
from .layout import Words

_ROW = struct.Struct(frame.ROW_FORMAT)
_STAMP = struct.Struct("<BQ")
_NAME_CHOSEN = 1
_MARK = frame.CHECKPOINT | frame.FOOTER
_ROWS_AT_ONCE = 1024
_STEMS_KEPT = 4096

Part = tuple[int, int, int]  # descriptor, offset, length


class Fragments:
    """Parts of large messages that wait for their last one, by claim; they may lie in several journals."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], tuple[int, list[Part]]] = {}

    def add(self, key: tuple[int, int], seq: int, flags: int, part: Part) -> list[Part] | None:
        """Return all parts of a message whose last one this is; they stay noted until they are forgotten."""
        next_seq, parts = self._open.get(key, (seq, []))
        if flags & frame.FIRST:
            parts = []
        elif next_seq != seq or not parts:  # its head is missing: it was never accepted, or is lost and accounted for
            self.forget(key)
            return None
        if flags & frame.LAST:
            self._open[key] = (seq, parts)
            return [*parts, part]
        self._open[key] = (seq + 1, [*parts, part])
        return None

    def within(self, fd: int) -> bool:
        """Whether a message that is not complete has a part in the file of a descriptor."""
        return any(part[0] == fd for _, parts in self._open.values() for part in parts)

    def forget(self, key: tuple[int, int]) -> None:
        """Drop what a claim left unfinished: its put never returned."""
        self._open.pop(key, None)


class Expansion:
    """One journal on its way into files; whoever holds the log directory's lock may have one."""

    def __init__(self, path: Path, fragments: Fragments, boot_id: bytes) -> None:
        self.path = path
        self._damaged: set[tuple[int, int]] = set()
        self._fragments = fragments
        self._claimed: set[str] = set()
        self._next: dict[str, int] = {}  # below this suffix, all names of a stem are taken
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._page = mmap.mmap(self._fd, layout.HEADER_BYTES)
        self._words = memoryview(self._page).cast("Q")
        header = layout.parse_header(self._page[:])
        if header is None:
            self.close()
            raise ValueError(f"expected a journal, got {path}")
        self.header = header
        self._compare = header.boot_id != boot_id
        if self._compare:
            self._words[Words.EXPANDED] = layout.HEADER_BYTES
        self.position = layout.HEADER_BYTES
        done = self._words[Words.EXPANDED] & ~7
        for _ in self._rows(done):  # collects the fragments that wait for one behind it
            pass
        self.position = done

    def advance(self, limit: int, stopped: Callable[[], bool] = bool) -> int:
        """Make the files of the records up to `limit`, a border between records; return how many they were."""
        made = 0
        for source, time, parts in self._rows(limit):
            self._make(source, time, parts)
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

    @property
    def removable(self) -> bool:
        """Whether nothing that waits for a file lies in this journal."""
        return not self._fragments.within(self._fd)

    def remove(self) -> None:
        """Give up the journal once its files are on the disk; a damaged one is kept aside for people to look at."""
        if self.position > layout.HEADER_BYTES:
            disk.syncfs(self._directory)
        if self.damaged_bytes:
            self.path.rename(self.path.with_name(f"{self.path.name}.damaged"))
        else:
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Let go of the journal and the directory."""
        if self._fd >= 0:
            self._words.release()
            self._page.close()
            os.close(self._fd)
            os.close(self._directory)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, limit: int) -> Iterator[tuple[int, int, list[Part]]]:
        """Yield (source, time, parts) of each message that ends before `limit`, `position` standing on its record."""
        if limit <= self.position:
            return
        with mmap.mmap(self._fd, limit, access=mmap.ACCESS_READ) as view:
            scanner = frame.Scanner(view, self.header.salt, start=self.position)
            try:
                while rows := scanner.next(_ROWS_AT_ONCE):
                    for offset, time, seq, length, claim, source, flags in _ROW.iter_unpack(rows):
                        self.position = offset
                        if not claim or flags & (frame.GAP | _MARK):
                            continue
                        part = (self._fd, offset + frame.RECORD_BYTES, length)
                        if flags & frame.WHOLE == frame.WHOLE:
                            yield source, time, [part]
                        elif parts := self._fragments.add(key := (self.header.queue_id, claim), seq, flags, part):
                            yield source, time, parts
                            self._fragments.forget(key)  # not if making its file failed: it is tried again
                    self._damaged.update(scanner.damaged)
                self._damaged.update(scanner.damaged)
            finally:
                del scanner  # the map can't be closed under it

    def _make(self, source: int, time: int, parts: list[Part]) -> None:
        words, stem = self._words, f"{source:03d}_{time:020d}"
        if words[Words.EXPANDED] == self.position | _NAME_CHOSEN:  # whoever was here before got this far
            self._write(_name(stem, words[Words.SUFFIX]), os.O_TRUNC, source, time, parts)
            return
        words[Words.EXPANDED] = self.position
        suffix = self._next.get(stem, 0)
        while True:
            suffix = self._free(stem, suffix, source, time, parts)
            if suffix < 0:
                return
            words[Words.SUFFIX] = suffix
            words[Words.EXPANDED] = self.position | _NAME_CHOSEN
            try:
                self._write(_name(stem, suffix), os.O_EXCL, source, time, parts)
            except FileExistsError:  # a stranger made it meanwhile: leave it alone
                words[Words.EXPANDED] = self.position
                suffix += 1
            else:
                return

    def _free(self, stem: str, suffix: int, source: int, time: int, parts: list[Part]) -> int:
        """Return the first free suffix from `suffix` on; -1 if the message turns out to have its file already."""
        while os.access(name := _name(stem, suffix), os.F_OK, dir_fd=self._directory, follow_symlinks=False):
            if self._compare and name not in self._claimed:
                verdict = self._judge(name, source, time, parts)
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

    def _judge(self, name: str, source: int, time: int, parts: list[Part]) -> bool | None:
        """Compare a file from before a power cut: True: this message, None: another, False: torn and gone."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._directory)
        try:
            got = os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
        if got == _head(source, time, parts) + b"".join(_read(*part) for part in parts):
            return True
        if npy.items(got):
            return None
        os.unlink(name, dir_fd=self._directory)
        return False

    def _write(self, name: str, flag: int, source: int, time: int, parts: list[Part]) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o666, dir_fd=self._directory)
        try:
            first, *rest = parts
            _write_all(fd, _head(source, time, parts) + _read(*first))
            for part in rest:
                _write_all(fd, _read(*part))
        except BaseException:
            with suppress(OSError):  # half a message must not be taken for one; the chosen name stays ours
                os.unlink(name, dir_fd=self._directory)
            raise
        finally:
            os.close(fd)


def _head(source: int, time: int, parts: list[Part]) -> bytes:
    size = _STAMP.size + sum(length for _, _, length in parts)
    return npy.header(size) + _STAMP.pack(source, time)


def _name(stem: str, suffix: int) -> str:
    return f"{stem}_{suffix}.npy" if suffix else f"{stem}.npy"


def _read(fd: int, offset: int, length: int) -> bytes:
    data = os.pread(fd, length, offset)
    while len(data) < length:
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        data += more
    return data


def _write_all(fd: int, data: bytes) -> None:
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])
