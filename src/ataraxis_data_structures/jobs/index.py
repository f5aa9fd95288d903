r"""Where each job's entry stands, for the process that has not read the file.

    0   8s  magic              32  u64  jobs
    8   u64 inode  \           40  u64  page from which on a scheduled job may stand
    16  u64 size    } of the   48  u64  shift: key >> shift numbers a bucket
    24  i64 mtime  /  tracker  56  u64  (zero)
    64  u32 start of each bucket among the rows, and one past the last
    ..  (u64 key, u64 page) rows, sorted by key

A key is the XXH64 of the job's id. The index is only ever a hint: its signature is of the file as we left it, and what
it points to is read and compared before it counts.
"""

import os
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import xxhash

from .entry import status
from .layout import PAGE, Place
from .state import ProcessingStatus

_MAGIC = b"axdsjix1"
_HEADER = struct.Struct("<8s QQq QQQQ")
_CURSOR_AT = 40
_ROWS_PER_BUCKET = 32

Signature = tuple[int, int, int]


def signature(stat: os.stat_result) -> Signature:
    """Return what changes when anybody writes or replaces the file."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def write_index(path: Path, places: dict[str, Place], signed: Signature) -> None:
    """Write the index of a file's entries, aside and then in one step."""
    keys = np.fromiter((xxhash.xxh64_intdigest(name.encode()) for name in places), "<u8", len(places))
    pages = np.fromiter((place.start // PAGE for place in places.values()), "<u8", len(places))
    order = np.argsort(keys, kind="stable")
    rows = np.column_stack((keys[order], pages[order]))
    bits = max(len(places) // _ROWS_PER_BUCKET, 1).bit_length()
    edges = np.arange(2**bits + 1, dtype="<u8") << np.uint64(64 - bits)
    starts = np.searchsorted(rows[:, 0], edges[:-1]).astype("<u4")
    scheduled = (p.start // PAGE for p in places.values() if status(p.raw) is ProcessingStatus.SCHEDULED)
    cursor = next(scheduled, signed[1] // PAGE + 1)
    header = _HEADER.pack(_MAGIC, *signed, len(places), cursor, 64 - bits, 0)
    put_aside(path, header + starts.tobytes() + np.uint32(len(places)).tobytes() + rows.tobytes())


def put_aside(path: Path, data: bytes) -> None:
    """Write a file that can be made anew: beside its name and then in one step, not synced."""
    aside = path.with_name(path.name + ".tmp")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


class Index:
    """An open index whose signature is that of the file; the caller holds the tracker's lock."""

    def __init__(self, descriptor: int, jobs: int, cursor: int, shift: int) -> None:
        self._descriptor = descriptor
        self.jobs, self.cursor, self._shift = jobs, cursor, shift

    @classmethod
    def open(cls, path: Path, signed: Signature, *, writing: bool = True) -> "Index | None":
        """Return the index if there is one and it is of the file as it is now."""
        try:
            descriptor = os.open(path, (os.O_RDWR if writing else os.O_RDONLY) | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            return None
        header = os.pread(descriptor, _HEADER.size, 0)
        if len(header) == _HEADER.size:
            magic, inode, size, mtime, jobs, cursor, shift, _ = _HEADER.unpack(header)
            if magic == _MAGIC and (inode, size, mtime) == signed and shift < 64:
                return cls(descriptor, jobs, cursor, shift)
        os.close(descriptor)
        return None

    def pages(self, job_id: str) -> list[int]:
        """Return the pages where the job may stand: one, save for ids that share a key."""
        key = xxhash.xxh64_intdigest(job_id.encode())
        bounds = os.pread(self._descriptor, 8, _HEADER.size + 4 * (key >> self._shift))
        if len(bounds) < 8:
            return []
        first, past = struct.unpack("<II", bounds)
        rows_at = _HEADER.size + 4 * (2 ** (64 - self._shift) + 1)
        raw = os.pread(self._descriptor, 16 * max(past - first, 0), rows_at + 16 * first)
        rows = np.frombuffer(raw[: len(raw) // 16 * 16], "<u8").reshape(-1, 2)
        return [int(page) for page in rows[rows[:, 0] == key, 1]]

    def sign(self, signed: Signature) -> None:
        """Note that the file now is as we left it."""
        os.pwrite(self._descriptor, struct.pack("<QQq", *signed), 8)

    def move_cursor(self, page: int) -> None:
        """Note that no scheduled job stands before a page."""
        os.pwrite(self._descriptor, struct.pack("<Q", page), _CURSOR_AT)

    def close(self) -> None:
        """Give the descriptor back; what it could not write, a hint, the next change finds missing."""
        with suppress(OSError):
            os.close(self._descriptor)
