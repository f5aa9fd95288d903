"""An archive written aside: in one pass, synced, and read back against what it was made from."""

import bisect
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from ..._core import bulk, frame, npz
from ...errors import ArchiveError
from ...system.pages import WINDOW_BYTES, forget_pages
from ...system.progress import Progress
from ..archive.notes import with_comment
from .plan import Plan

_BLOCK_BYTES = 4 * 2**20
_READ_BYTES = 2**20
_MEMBERS_AT_ONCE = 8192  # between two looks at signals and the progress bar
_ENTRIES_AT_ONCE = 65536


class Written(NamedTuple):
    """An archive that stands aside: its size, where its directory starts, and the CRC-32C from there on."""

    temporary: str
    size: int
    directory_start: int
    directory_crc: int


def write_archive(plan: Plan, folder: int, temporary: str, progress: Progress) -> Written:
    """Write a plan's archive into an open folder, under a name where nothing stands yet, and sync it."""
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        with ThreadPoolExecutor(1) as writer:  # it writes a block while the next is packed and the last one read back
            size = _write_members(fd, plan, folder, writer, progress)
            start, check = size, 0
            for block in _directory(plan, size):
                _write_all(fd, block)
                size += len(block)
                check = frame.crc32c(block, check)
            synced = writer.submit(os.fsync, fd)
            _read_back_directory(fd, plan, start)
            synced.result()
        return Written(temporary, size, start, check)
    finally:
        os.close(fd)


def _write_members(fd: int, plan: Plan, folder: int, writer: Executor, progress: Progress) -> int:
    size = rows = 0
    read_back = _ReadBack(fd, plan)
    written: Future[None] | None = None
    for block, count in _blocks(plan, folder):
        if written:
            written.result()
        written = writer.submit(_write_block, fd, block, size)
        read_back.advance(rows)
        size, rows = size + len(block), rows + count
        progress(count)
    if written:
        written.result()
    read_back.advance(rows)
    return size


def compare(plan: Plan, folder: int, temporary: str) -> None:
    """Hold an archive, read from the disk anew, against the sources, read anew."""
    fd = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        at = 0
        for block, _ in _blocks(plan, folder):
            if os.pread(fd, len(block), at) != block:
                raise ArchiveError(f"{temporary}: what was written differs from its sources near byte {at}")
            at += len(block)
    finally:
        os.close(fd)


def _blocks(plan: Plan, folder: int) -> Iterator[tuple[Any, int]]:
    """Yield the members of a plan as bytes to append, and how many each block completes; completes the rows.

    A block is good until the second one behind it is asked for.
    """
    rows = plan.rows.view(np.uint8).reshape(-1)
    packer = npz.Packer(folder, plan.volumes, rows)
    rooms = cycle([bytearray(_BLOCK_BYTES), bytearray(_BLOCK_BYTES)])
    start = packed = 0
    while start < len(plan.rows):
        if packed > WINDOW_BYTES:
            forget_pages(plan.volumes)
            packed = 0
        room = next(rooms)
        stop, used, why, error = packer.pack(start, min(start + _MEMBERS_AT_ONCE, len(plan.rows)), room)
        packed += used
        if used:
            yield memoryview(room)[:used], stop - start
        start = stop
        if why == npz.ELSEWHERE or (why == npz.FULL and not used):
            yield from _single(plan, start)
            start += 1
        elif why == npz.ERRNO:
            raise OSError(error, os.strerror(error), plan.origin(start))
        elif why == npz.NO_MESSAGE:
            raise ArchiveError(f"{plan.origin(start)}: expected a log message, got something else")
        elif why == npz.CHANGED:
            raise ArchiveError(f"{plan.origin(start)}: the bytes are damaged or were changed meanwhile")


def _single(plan: Plan, index: int) -> Iterator[tuple[Any, int]]:
    data = memoryview(plan.read(index))
    row = plan.rows[index]
    row["crc"], row["size"] = zlib.crc32(data), len(data)
    yield npz.member_header(plan.name(index), int(row["crc"]), len(data)), 0
    for start in range(0, len(data), _BLOCK_BYTES):
        yield data[start : start + _BLOCK_BYTES], 0
    yield b"", 1


def _directory(plan: Plan, offset: int) -> Iterator[bytes | bytearray]:
    """Yield what stands behind the members, which end at `offset`."""
    rows = plan.rows.view(np.uint8).reshape(-1)
    size, at = 0, 0
    for start in range(0, len(plan.rows), _ENTRIES_AT_ONCE):
        block, at = npz.directory_entries(rows, start, min(start + _ENTRIES_AT_ONCE, len(plan.rows)), at, plan.names)
        size += len(block)
        yield block
    if at != offset:
        raise ArchiveError(f"expected the members to end at {offset}, got {at}")
    yield with_comment(npz.end_records(len(plan.rows), size, offset), plan.comment)


class _ReadBack:
    """Holds what a file holds against the rows of its plan, member by member, as far as they are written."""

    def __init__(self, fd: int, plan: Plan) -> None:
        self._fd = fd
        self._plan = plan
        self._rows = plan.rows.view(np.uint8).reshape(-1)
        self._singles = [*sorted(plan.names), len(plan.rows)]
        self._room = bytearray(_READ_BYTES)
        self._at = self._row = 0

    def advance(self, limit: int) -> None:
        """Read on to the row `limit`."""
        while self._row < limit:
            row = self._row
            if row in self._plan.names or int(self._plan.rows[row]["size"]) > _READ_BYTES // 2:
                self._single()
                continue
            stop = min(row + _MEMBERS_AT_ONCE, limit, self._singles[bisect.bisect(self._singles, row)])
            got = os.preadv(self._fd, [self._room], self._at)
            stop, used, well = npz.check_members(self._rows, row, stop, memoryview(self._room)[:got])
            if not well or stop == row:
                raise ArchiveError(f"{self._plan.name(stop)}: what was written does not read back")
            self._at, self._row = self._at + used, stop

    def _single(self) -> None:
        row, name = self._plan.rows[self._row], self._plan.name(self._row)
        head = npz.member_header(name, int(row["crc"]), int(row["size"]))
        well = os.pread(self._fd, len(head), self._at) == head
        check, done = 0, len(head)
        stop = done + int(row["size"])
        while done < stop and (data := os.pread(self._fd, min(_BLOCK_BYTES, stop - done), self._at + done)):
            check, done = zlib.crc32(data, check), done + len(data)
        if not well or done != stop or check != row["crc"]:
            raise ArchiveError(f"{name}: what was written does not read back")
        self._at, self._row = self._at + done, self._row + 1


def _read_back_directory(fd: int, plan: Plan, at: int) -> None:
    for block in _directory(plan, at):
        if os.pread(fd, len(block), at) != block:
            raise ArchiveError("the directory that was written does not read back")
        at += len(block)


def _write_block(fd: int, block: Any, start: int) -> None:
    _write_all(fd, block)
    bulk.write_back(fd, start, len(block))  # or the disk is idle until the sync at the end


def _write_all(fd: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
