"""Copy files beneath one folder to beneath another: contents, mode and time, hashed on the way if asked."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from xxhash import xxh3_128, xxh3_128_digest

from .._core.bulk import LEFT_CHANGED, ROW, copy_metadata, load_files
from ..system.disk import clone_file
from ..system.progress import Meter
from .digest import PIECE_BYTES, SMALL_BYTES, batches, in_threads, room
from .losses import Losses
from .walk import open_unaccessed

_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TARGET = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_RANGE_BYTES = 32 << 20
# The kernel takes cache pages as large as a write, and large ones from memory that nobody has touched lately: 256 MiB
# cost 0.08 s in writes of 64 KiB and 0.3 s in writes of 1 MiB here.
_WRITE_BYTES = 64 << 10
_NOT_HERE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.EBADF}
_ZEROS = np.zeros(PIECE_BYTES, dtype=np.uint8)


class Copied(NamedTuple):
    """What was read: H(name + contents), and how to see that the file is still the same."""

    digest: bytes
    inode: int
    mtime_ns: int
    ctime_ns: int

    def is_still(self, status: os.stat_result) -> bool:
        """Return whether nobody wrote to the file since."""
        return (self.inode, self.mtime_ns, self.ctime_ns) == (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def copy_files(
    source: int, target: int, names: Sequence[str], threads: int, meter: Meter, lost: Losses, *, hashed: bool
) -> dict[str, Copied]:
    """Copy files whose folders exist, and return what was read of each if it is hashed.

    What lies at the target already is read, and only what differs is written. What the target could not store is
    counted in `lost`.

    Raises:
        RuntimeError: A file changed while it was copied, or is no regular file any more.
    """
    found: dict[str, Copied] = {}
    left: list[str] = []
    work = partial(_copy_small, source, target, meter, lost, hashed)
    for copied, rest in in_threads(work, batches(names), threads, meter):
        found.update(copied)
        left += rest
    work_left = partial(_copy_large, source, target, meter, lost, hashed)
    copies = dict(zip(left, in_threads(work_left, left, threads, meter), strict=True))
    return found | copies if hashed else {}


def _copy_small(
    source: int,
    target: int,
    meter: Meter,
    lost: Losses,
    hashed: bool,  # noqa: FBT001 - bound by partial
    names: Sequence[str],
) -> tuple[dict[str, Copied], list[str]]:
    """Return what was read, if hashed, and the names of files that are large or exist at the target."""
    found: dict[str, Copied] = {}
    left: list[str] = []
    encoded = [os.fsencode(name) for name in names]
    rows = np.empty((len(names), ROW), dtype=np.int64)
    view = memoryview(room())
    done = 0
    while done < len(names):
        size = 0
        handled = load_files(source, encoded[done:], room(), rows, SMALL_BYTES, target)
        for name, key, row in zip(names[done:], encoded[done:], rows[:handled].tolist(), strict=False):
            start, end, inode, mtime_s, mtime, ctime_s, ctime, flags = row
            if start == LEFT_CHANGED:
                raise RuntimeError(f"{name} changed while it was copied")
            if start < 0:
                left.append(name)
                continue
            if hashed:
                times = mtime_s * 10**9 + mtime, ctime_s * 10**9 + ctime
                found[name] = Copied(xxh3_128_digest(view[start:end]), inode, *times)
            if flags:
                lost.add(name, flags)
            size += end - start - len(key)
        meter.add(size)
        done += handled
    return found, left


def _copy_large(
    source: int,
    target: int,
    meter: Meter,
    lost: Losses,
    hashed: bool,  # noqa: FBT001 - bound by partial
    name: str,
) -> Copied:
    source_fd = open_unaccessed(name, _SOURCE, source)
    try:
        before = os.fstat(source_fd)
        if not stat.S_ISREG(before.st_mode):
            raise RuntimeError(f"{name} is not a regular file any more")
        target_fd = _open_target(target, name)
        try:
            digest = _copy_contents(source_fd, target_fd, name, before, meter, hashed=hashed)
            os.ftruncate(target_fd, before.st_size)
            lost.add(name, copy_metadata(source_fd, target_fd, before.st_atime_ns))
            after = os.fstat(source_fd)
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise RuntimeError(f"{name} changed while it was copied")
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)
    return Copied(digest, after.st_ino, after.st_mtime_ns, after.st_ctime_ns)


def _open_target(target: int, name: str) -> int:
    try:
        return os.open(name, _TARGET, 0o600, dir_fd=target)
    except PermissionError:  # the mode of an earlier, complete copy may forbid writing
        os.unlink(name, dir_fd=target)
        return os.open(name, _TARGET, 0o600, dir_fd=target)


def _copy_contents(source: int, target: int, name: str, status: os.stat_result, meter: Meter, *, hashed: bool) -> bytes:
    existing = os.fstat(target).st_size
    is_sparse = status.st_blocks * 512 < status.st_size
    if is_sparse and existing:
        os.ftruncate(target, 0)  # old data must not show through the holes
        existing = 0
    if not hashed and not existing and _copy_in_kernel(source, target, status.st_size, meter, is_sparse=is_sparse):
        return b""
    state = xxh3_128(os.fsencode(name)) if hashed else None
    for offset, size, is_data in _pieces(source, status.st_size, is_sparse=is_sparse):
        piece = memoryview(_read(source, offset, room()[:size]) if is_data else _ZEROS[:size])
        if len(piece) < size:
            raise RuntimeError(f"{name} changed while it was copied")
        if state is not None:
            state.update(piece)
        if is_data and not (offset < existing and _holds(target, offset, piece)):
            _write(target, offset, piece)
        meter.add(size)
    return b"" if state is None else state.digest()


def _copy_in_kernel(source: int, target: int, size: int, meter: Meter, *, is_sparse: bool) -> bool:
    """Let the file system share or move the data; False if it cannot."""
    if clone_file(source, target):
        meter.add(size)
        return True
    if not hasattr(os, "copy_file_range"):
        return False
    for start, length, is_data in _extents(source, size, is_sparse=is_sparse):
        if not is_data:
            meter.add(length)
        elif not _move_range(source, target, start, start + length, meter):
            return False
    return True


def _move_range(source: int, target: int, offset: int, end: int, meter: Meter) -> bool:
    while offset < end:
        try:
            moved = os.copy_file_range(source, target, min(end - offset, _RANGE_BYTES), offset, offset)
        except OSError as error:
            if error.errno in _NOT_HERE:
                return False
            raise
        if not moved:  # some kernels answer 0 instead of refusing
            return False
        meter.add(moved)
        offset += moved
    return True


def _extents(fd: int, size: int, *, is_sparse: bool) -> Iterator[tuple[int, int, bool]]:
    """Yield offset, length, and whether there is data (not a hole)."""
    if not is_sparse:
        yield 0, size, True
        return
    offset = 0
    while offset < size:
        try:
            data = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size  # a hole up to the end
        if data > offset:
            yield offset, min(data, size) - offset, False
        if data >= size:
            return
        offset = min(os.lseek(fd, data, os.SEEK_HOLE), size)
        yield data, offset - data, True


def _pieces(fd: int, size: int, *, is_sparse: bool) -> Iterator[tuple[int, int, bool]]:
    for start, length, is_data in _extents(fd, size, is_sparse=is_sparse):
        for offset in range(start, start + length, PIECE_BYTES):
            yield offset, min(PIECE_BYTES, start + length - offset), is_data


def _read(fd: int, offset: int, buffer: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> memoryview:
    view = memoryview(buffer)
    done = 0
    while done < len(view) and (got := os.preadv(fd, [view[done:]], offset + done)):
        done += got
    return view[:done]


def _write(fd: int, offset: int, piece: memoryview) -> None:
    done = 0
    while done < len(piece):
        done += os.pwrite(fd, piece[done : done + _WRITE_BYTES], offset + done)


def _holds(fd: int, offset: int, piece: memoryview) -> bool:
    return os.pread(fd, len(piece), offset) == piece
