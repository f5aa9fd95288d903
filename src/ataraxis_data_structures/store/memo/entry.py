r"""The file of a result: a line that describes it, padded with blanks to a multiple of 64 bytes, then its payload.

    <crc> {"about":...,"bytes":...,"function":...,"hash":...,"kind":...}<blanks>\n<payload>

Nothing is synced: a file that a power cut left in part fails its check, and the result is computed again.
"""

import json
import mmap
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from xxhash import xxh3_128

from ...errors import DamagedError
from ..kinds import kind_for, kind_of
from ..kinds.kind import About, Kind
from ..ledger.lines import line_of
from ..payloads import staged_path, write_all

MISSING = object()
"""What `read` returns where there is no result, or a damaged one."""

_UNIT = 64
_HEAD_BYTES = 1 << 13
_FIRST_BYTES = 1 << 16
_MAPPED_BYTES = 1 << 22
_PICKLED = "model"
# What a kind says of bytes that it can't read.
_DAMAGE = (DamagedError, ValueError, KeyError, TypeError)


class _Pieces:
    """A payload in memory, without a copy of large arrays."""

    def __init__(self) -> None:
        self._hasher = xxh3_128()
        self.parts: list[Any] = []
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        """Take bytes, or anything that has a contiguous buffer."""
        view = memoryview(data).cast("B") if len(data) else memoryview(b"")
        self._hasher.update(view)
        self.parts.append(view if len(view) > _FIRST_BYTES else bytes(view))
        self.size_bytes += len(view)
        return len(view)

    @property
    def hash(self) -> str:
        """Return the hash of what was written."""
        return self._hasher.hexdigest()


@dataclass
class _Held:
    """The payload of a result, all of whose bytes were checked."""

    path: Path
    bytes: memoryview
    hash: str
    size_bytes: int
    uuid: str = ""
    is_trusted: bool = False
    uri: str | None = None
    view: Path | None = None

    def data(self) -> memoryview:
        """Return its bytes, in memory of the caller's own."""
        return self.bytes

    def check(self) -> None:
        """Do nothing: the bytes were checked."""


def write(path: Path, staging: Path, function: str, value: Any) -> None:
    """Write a result, in place of an older one.

    Raises:
        TypeError: It is none that can be written without a pickle.
    """
    kind = kind_for(value)
    if kind.name in (_PICKLED, "file"):
        raise TypeError(f"expected an array, a dictionary of arrays, a table or a JSON value, got {type(value)!r}")
    pieces = _Pieces()
    about = kind.write(value, pieces)
    head = _header({"about": about, "bytes": pieces.size_bytes, "function": function, "hash": pieces.hash,
                    "kind": kind.name})  # fmt: skip
    staged = staged_path(staging)
    try:
        fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            if sum(map(len, pieces.parts)) <= _FIRST_BYTES:
                write_all(fd, b"".join((head, *pieces.parts)))
            else:
                for part in (head, *pieces.parts):
                    write_all(fd, part)
        finally:
            os.close(fd)
        os.rename(staged, path)  # noqa: PTH104 hot path
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise


def _header(record: About) -> bytes:
    line = line_of(record).removesuffix(b"\n")
    return line.ljust(-(-(len(line) + 1) // _UNIT) * _UNIT - 1) + b"\n"


def read(path: str, function: str) -> Any:
    """Return a result, all of whose bytes are checked; MISSING where there is none that is whole."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return MISSING
    try:
        first = os.read(fd, _HEAD_BYTES)
        head = first[: first.find(b"\n") + 1]
        record = _record(head)
        if record is None or record.get("function") != function:
            return MISSING
        data = _payload(fd, first, len(head), record)
    finally:
        os.close(fd)
    if data is None or xxh3_128(data).hexdigest() != record["hash"]:
        return MISSING
    try:
        kind, about = _kind(record["kind"]), record["about"]
        if kind.name == _PICKLED:
            return MISSING
        return kind.read(_Held(Path(path), data, record["hash"], len(data)), about)
    except _DAMAGE:
        return MISSING


@lru_cache
def _kind(name: str) -> Kind:
    return kind_of(name, "")


def _record(head: bytes) -> About | None:
    body = head[9:].rstrip(b" \n")
    if not head.endswith(b"\n") or len(head) % _UNIT or head[:9] != b"%08x " % crc32(body):
        return None
    try:
        record = json.loads(body)
    except ValueError:
        return None
    is_whole = isinstance(record, dict) and {"about", "bytes", "function", "hash", "kind"} <= record.keys()
    return record if is_whole and type(record["bytes"]) is int and isinstance(record["about"], dict) else None


def _payload(fd: int, first: bytes, start: int, record: About) -> memoryview | None:
    """Return the payload: read where it is small, else mapped, and copied page by page where the caller changes it."""
    size = start + record["bytes"]
    if size < len(first) or os.fstat(fd).st_size != size:
        return None
    if size == len(first):
        return memoryview(bytearray(first))[start:]
    if size >= _MAPPED_BYTES:
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_COPY))[start:]
    data = np.empty(size, np.uint8).data  # a bytearray would be filled with zeros first
    data[: len(first)] = first
    done = len(first)
    while done < size:
        got = os.readv(fd, [data[done:]])
        if not got:
            return None
        done += got
    return data[start:]
