"""An archive written aside: in one pass, synced, and read back against what it was made from."""

import bisect
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from .._core import crc, members
from ..errors import ArchiveError
from .pages import WINDOW_BYTES, forget_pages
from .plan import Plan
from .progress import Progress

_BLOCK_BYTES = 4 * 2**20
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
        with ThreadPoolExecutor(1) as disk:  # it writes a block while the next one is packed
            size = _write_members(fd, _blocks(plan, folder), disk, progress)
            start, check = size, 0
            for block in _directory(plan, size):
                _write_all(fd, block)
                size += len(block)
                check = crc.crc32c(block, check)
            synced = disk.submit(os.fsync, fd)
            _read_back(fd, plan)
            synced.result()
        return Written(temporary, size, start, check)
    finally:
        os.close(fd)


def _write_members(fd: int, blocks: Iterator[tuple[Any, int]], disk: Executor, progress: Progress) -> int:
    size = 0
    written: Future[None] | None = None
    for block, count in blocks:
        if written:
            written.result()
        written = disk.submit(_write_all, fd, block)
        size += len(block)
        progress(count)
    if written:
        written.result()
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
    packer = members.Packer(folder, plan.volumes, rows)
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
        if why == members.ELSEWHERE or (why == members.FULL and not used):
            yield from _single(plan, start)
            start += 1
        elif why == members.ERRNO:
            raise OSError(error, os.strerror(error), plan.origin(start))
        elif why == members.NO_MESSAGE:
            raise ArchiveError(f"{plan.origin(start)}: expected a log message, got something else")
        elif why == members.CHANGED:
            raise ArchiveError(f"{plan.origin(start)}: the bytes are damaged or were changed meanwhile")


def _single(plan: Plan, index: int) -> Iterator[tuple[Any, int]]:
    data = memoryview(plan.read(index))
    row = plan.rows[index]
    row["crc"], row["size"] = zlib.crc32(data), len(data)
    yield members.head(plan.name(index), int(row["crc"]), len(data)), 0
    for start in range(0, len(data), _BLOCK_BYTES):
        yield data[start : start + _BLOCK_BYTES], 0
    yield b"", 1


def _directory(plan: Plan, offset: int) -> Iterator[bytes | bytearray]:
    """Yield what stands behind the members, which end at `offset`."""
    rows = plan.rows.view(np.uint8).reshape(-1)
    size, at = 0, 0
    for start in range(0, len(plan.rows), _ENTRIES_AT_ONCE):
        block, at = members.entries(rows, start, min(start + _ENTRIES_AT_ONCE, len(plan.rows)), at, plan.names)
        size += len(block)
        yield block
    if at != offset:
        raise ArchiveError(f"expected the members to end at {offset}, got {at}")
    yield members.end(len(plan.rows), size, offset)


def _read_back(fd: int, plan: Plan) -> None:
    """Hold what a file holds against the rows of its plan, member by member and entry by entry."""
    rows = plan.rows.view(np.uint8).reshape(-1)
    odd = [*sorted(plan.names), len(plan.rows)]
    at = start = 0
    while start < len(plan.rows):
        if start in plan.names or int(plan.rows[start]["size"]) > _BLOCK_BYTES // 2:
            at += _read_single(fd, at, plan, start)
            start += 1
            continue
        stop = min(start + _MEMBERS_AT_ONCE, odd[bisect.bisect(odd, start)])
        stop, used, well = members.check(rows, start, stop, os.pread(fd, _BLOCK_BYTES, at))
        if not well or stop == start:
            raise ArchiveError(f"{plan.name(stop)}: what was written does not read back")
        at, start = at + used, stop
    for block in _directory(plan, at):
        if os.pread(fd, len(block), at) != block:
            raise ArchiveError("the directory that was written does not read back")
        at += len(block)


def _read_single(fd: int, at: int, plan: Plan, index: int) -> int:
    row = plan.rows[index]
    head = members.head(plan.name(index), int(row["crc"]), int(row["size"]))
    well = os.pread(fd, len(head), at) == head
    check, done = 0, len(head)
    stop = done + int(row["size"])
    while done < stop and (data := os.pread(fd, min(_BLOCK_BYTES, stop - done), at + done)):
        check, done = zlib.crc32(data, check), done + len(data)
    if not well or done != stop or check != row["crc"]:
        raise ArchiveError(f"{plan.name(index)}: what was written does not read back")
    return done


def _write_all(fd: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
