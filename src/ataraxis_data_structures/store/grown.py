"""Payloads of appended arrays: one file whose versions are lengths."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_128, xxh3_128_hexdigest

from ..errors import DamagedError, StoreError
from ..system.disk import sync_data
from .kinds.array import bytes_of, form_of, header_of
from .kinds.kind import PayloadFile
from .ledger.fold import Entry, Op, size_of
from .payloads import write_all

_PIECE_BYTES = 1 << 20


def rows_of(op: Op, rows: Any) -> tuple[Any, dict[str, Any]]:
    """Return the bytes of rows for an array, and what the ledger then says of the array.

    Raises:
        StoreError: The rows do not fit the array.
    """
    if op.get("kind") != "array" or not str(op.get("file", "")).endswith(".npy"):
        raise StoreError(f"expected an array stored as .npy to extend, got {op.get('kind')!r}: {op.get('file')!r}")
    form = form_of(op["about"], size_of(op))
    array = np.asarray(rows)
    if not form.shape:
        raise StoreError("expected an array with rows to extend, got one of no dimension")
    if not np.can_cast(array.dtype, form.dtype, "safe") or array.shape[1:] != form.shape[1:] or not array.shape:
        raise StoreError(
            f"expected rows of shape (n, {', '.join(map(str, form.shape[1:]))}) and dtype {form.dtype}, "
            f"got {array.shape} and {array.dtype}"
        )
    about = {**op["about"], "shape": [form.shape[0] + array.shape[0], *form.shape[1:]]}
    return bytes_of(np.ascontiguousarray(array, form.dtype)), about


def can_grow(op: Op) -> bool:
    """Tell whether rows may be appended to a payload: C order puts them behind all others."""
    about = op.get("about", {})
    return about.get("order") == "C" and form_of(about, size_of(op)).stop == size_of(op)


@contextmanager
def writable(path: Path) -> Iterator[int]:
    """Open a payload for writing, which its mode refuses to others, and to its owner at any other time."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags)
    except PermissionError:
        path.chmod(0o644)
        try:
            fd = os.open(path, flags)
        finally:
            path.chmod(0o444)
    try:
        yield fd
    finally:
        os.close(fd)


def append_rows(fd: int, committed_bytes: int, data: Any, *, is_synced: bool) -> None:
    """Write rows behind the committed bytes, in the place of what a killed writer left there."""
    os.ftruncate(fd, committed_bytes)
    os.lseek(fd, committed_bytes, os.SEEK_SET)
    write_all(fd, data)
    if is_synced:
        sync_data(fd)


def cut(path: Path, size_bytes: int) -> None:
    """Remove what lies behind the committed bytes."""
    with writable(path) as fd:
        os.ftruncate(fd, size_bytes)


def settle_header(path: Path, op: Op) -> None:
    """Have a payload's header say what the ledger says, and nothing follow the committed bytes."""
    head = header_of(op["about"])
    found = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        is_settled = os.fstat(found).st_size == size_of(op) and os.pread(found, len(head), 0) == head
    finally:
        os.close(found)
    if not is_settled:
        with writable(path) as fd:
            if os.fstat(fd).st_size > size_of(op):
                os.ftruncate(fd, size_of(op))
            os.pwrite(fd, head, 0)


def _version_bytes(payload: Path, entry: Entry) -> Iterator[bytes]:
    """Yield the bytes of a version as a file of its own would hold them."""
    op = entry.op or {}
    head = header_of(op["about"])
    yield head
    left = size_of(op) - len(head)
    with payload.open("rb") as file:
        file.seek(len(head))
        while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece


def is_version(path: Path, entry: Entry) -> bool:
    """Tell whether a file holds the bytes of a version, as a file of its own would."""
    try:
        return _holds_version(path, entry)
    except DamagedError:  # its line tells of no array, so the file is none of it
        return False


def _holds_version(path: Path, entry: Entry) -> bool:
    op = entry.op or {}
    head = header_of(op.get("about"))
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != size_of(op) or file.read(len(head)) != head:
            return False
        for part, start, stop in entry.spans:
            written = part.op or {}
            hasher = xxh3_128(b"" if start else header_of(written.get("about")))
            left = stop - max(start, len(head))
            while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
                hasher.update(piece)
                left -= len(piece)
            if hasher.hexdigest() != written.get("hash"):
                return False
    return True


def hash_of_version(payload: Path, entry: Entry) -> tuple[int, str]:
    """Return size and hash of a version as a file of its own."""
    hasher, size = xxh3_128(), 0
    for piece in _version_bytes(payload, entry):
        hasher.update(piece)
        size += len(piece)
    return size, hasher.hexdigest()


def write_extended(payload: Path, entry: Entry, rows: Any, about: dict[str, Any], file: PayloadFile) -> None:
    """Write a version and further rows as a payload of its own."""
    old = entry.op or {}
    form = form_of(old["about"], size_of(old))
    with payload.open("rb") as source:
        data = np.fromfile(source, np.uint8, form.stop - form.offset, offset=form.offset)
    if len(data) < form.stop - form.offset:
        raise DamagedError(f"expected {form.stop} bytes in {payload}, got fewer", (str(payload),))
    array = np.ndarray(form.shape, form.dtype, buffer=data.data, order=form.order)
    about["order"] = "C"
    head = header_of({**about, "offset": form.offset})
    file.write(head)
    file.write(bytes_of(np.ascontiguousarray(array)))
    file.write(rows)


def copy_version(payload: Path, entry: Entry, target: str) -> None:
    """Write a version as a file of its own."""
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for piece in _version_bytes(payload, entry):
            write_all(fd, piece)
        os.fchmod(fd, 0o444)
    finally:
        os.close(fd)


def hash_of(data: Any) -> str:
    """Return the hash of bytes."""
    return xxh3_128_hexdigest(data)
