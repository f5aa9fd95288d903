"""Payloads: files that are written once and never changed, with the hash of their bytes.

One exception: the payload of an appended array grows at its end. Its header is rewritten then, so the bytes of an
earlier version are its own header, which follows from the ledger, and what lies between that and its own end.
"""

import base64
import binascii
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from xxhash import xxh3_128, xxh3_128_hexdigest

from .._core.bulk import write_back
from ..errors import DamagedError
from ..system.process import is_alive, own_identity
from ..system.progress import LateBar
from .kinds import kind_of
from .kinds.array import header_of
from .ledger.fold import Entry, Op, size_of
from .names import FOLDER, PAYLOADS, contained, leads_elsewhere

CARRIED_BYTES = 1024
_PIECE_BYTES = 1 << 20  # what is hashed and then written, or read and then hashed, before it leaves the cache
_WRITE_BACK_BYTES = 8 << 20
_MODE = 0o444
_numbers = itertools.count()
_Plain = Callable[[], Path | None]


def staged_path(folder: Path) -> str:
    """Return a path for a new file that no other writer has; it says which process makes it."""
    return f"{folder}/{own_identity():x}.{threading.get_native_id()}.{next(_numbers)}"


def is_staged_by_living(name: str) -> bool:
    """Tell whether a staged file may still be wanted: its process runs on this machine."""
    identity = re.match(r"([0-9a-f]{1,16})\.", name)
    return identity is not None and is_alive(int(identity[1], 16))


class StagedFile:
    """A payload while it is written, without a name that means anything; `hash` and `size_bytes` follow its bytes."""

    def __init__(self, folder: Path, *, is_synced: bool) -> None:
        self._is_synced = is_synced
        self._hasher = xxh3_128()
        self._written = self._handed_over = 0
        self._small = bytearray()
        self._bar = LateBar("writing")
        self.size_bytes = 0
        while True:
            self.path = staged_path(folder)
            with suppress(FileExistsError):  # of a dead process that had this one's number
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                break

    def write(self, data: Any) -> int:
        """Take bytes, or anything that has a contiguous buffer."""
        view = memoryview(data).cast("B") if len(data) else memoryview(b"")
        size = len(view)
        self.size_bytes += size
        if len(self._small) + size <= 1 << 16:
            self._small += view
            return size
        self._write_small()
        for at in range(0, size, _PIECE_BYTES):
            piece = view[at : at + _PIECE_BYTES]
            self._write_piece(piece)
            self._bar.add(len(piece), self.size_bytes)
        return size

    def _write_small(self) -> None:
        if self._small:
            self._write_piece(memoryview(self._small))
            self._small = bytearray()

    def _write_piece(self, piece: memoryview) -> None:
        """Hash and write bytes while a cache holds them; with a sync ahead, the disk begins early."""
        self._hasher.update(piece)
        write_all(self._fd, piece)
        self._written += len(piece)
        if self._is_synced and self._written - self._handed_over >= _WRITE_BACK_BYTES:
            write_back(self._fd, self._handed_over, self._written - self._handed_over)
            self._handed_over = self._written

    def finish(self, *, is_carried: bool) -> bytes | None:
        """Complete the file; returns its bytes where the ledger carries them, which saves the sync."""
        data = bytes(self._small) if is_carried and self.size_bytes <= CARRIED_BYTES else None
        self._write_small()
        os.fchmod(self._fd, _MODE)
        if self._is_synced and data is None:
            os.fsync(self._fd)
        self.close()
        self.hash = self._hasher.hexdigest()
        return data

    def close(self) -> None:
        """Close the descriptor; the file stays."""
        if self._fd >= 0:
            self._bar.close()
            fd, self._fd = self._fd, -1
            os.close(fd)

    def remove(self) -> None:
        """Close and remove the file, if it is still where it was staged."""
        self.close()
        with suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 hot path


def write_all(fd: int, data: Any) -> None:
    """Write all bytes, however many calls that takes."""
    view = memoryview(data)
    done = os.write(fd, view)
    while done < len(view):
        done += os.write(fd, view[done:])


def payload_path(root: Path, file: object) -> Path:
    """Return where a payload lies.

    Raises:
        DamagedError: The ledger names a path that leads out of the folder of payloads.
    """
    return Path(checked_path(root, file))


def checked_path(root: Path | str, file: object) -> str:
    """Return what `payload_path` does, as text."""
    folder = f"{root}/{FOLDER}/{PAYLOADS}"
    path = f"{folder}/{contained(file, 'file')}"
    if leads_elsewhere(folder, str(file)) or os.path.islink(path):  # noqa: PTH114 hot path
        raise DamagedError(f"expected a payload in {folder}, got a symbolic link at or above {path}", (path,))
    return path


def carried(op: Op) -> bytes | None:
    """Return the payload that a line carries, if it is the one that the line's hash belongs to."""
    data = op.get("data")
    if not isinstance(data, str):
        return None
    try:
        found = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if xxh3_128_hexdigest(found) == op.get("hash") else None


class StoredPayload:
    """The bytes of a version of an item.

    Where the payload is missing, as in a clone by git, a plain file with the same bytes is taken.
    """

    def __init__(
        self, root: Path, uuid: str, name: str, entry: Entry, *, is_trusted: bool, is_grown: bool, plain: _Plain
    ) -> None:
        op = entry.op or {}
        self._entry = entry
        self._name = name
        self._op = op
        self._is_grown = is_grown
        self._plain = plain
        self.is_trusted = is_trusted
        self.uuid = uuid
        self.uri: str | None = op.get("uri") if isinstance(op.get("uri"), str) else None
        self.hash = str(op.get("hash", ""))
        self.is_stored = "file" in op
        self.size_bytes = size_of(op) if self.is_stored else 0
        self._payload = checked_path(root, op["file"]) if self.is_stored else str(root)

    @property
    def path(self) -> Path:
        """Return the file that holds the bytes."""
        if not os.path.exists(self._payload):  # noqa: PTH110 hot path
            return self._plain() or Path(self._payload)
        return Path(self._payload)

    @property
    def is_one_file(self) -> bool:
        """Tell whether the file holds the version's bytes and no others."""
        return not self._is_grown

    @property
    def view(self) -> Path | None:
        """Return the plain file; None if it is another version's, or was changed."""
        return self._plain()

    def data(self) -> memoryview:
        """Return all bytes, checked against their hash."""
        try:
            return self._checked_data(self._payload)
        except (FileNotFoundError, DamagedError) as error:
            kept = carried(self._op)
            if kept is not None:
                return memoryview(bytearray(kept))
            if isinstance(error, FileNotFoundError):
                return self._checked_data(self._plain() or self._lost())
            raise

    def check(self) -> None:
        """Check all bytes."""
        try:
            self.check_file()
        except FileNotFoundError:
            self._check(self._plain() or self._lost(), None)

    def check_file(self) -> None:
        """Check the bytes of the payload itself, whatever the line or the plain file could replace."""
        self._check(self._payload, None)

    def _checked_data(self, path: Path | str) -> memoryview:
        size = self.size_bytes
        if size > 1 << 16 and os.stat(path).st_size < size:  # noqa: PTH116 no memory for what a forged line tells of
            raise self.damaged("fewer bytes")
        data = memoryview(bytearray(size)) if size <= 1 << 16 else _pages(size)
        self._check(path, data)
        return data

    def _lost(self) -> NoReturn:
        raise self.damaged("no file")

    def _check(self, path: Path | str, data: memoryview | None) -> None:
        """Hash the bytes of a file as they are read, and keep them in `data`."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            size = os.fstat(fd).st_size
            if size < self.size_bytes or (size > self.size_bytes and not self.may_be_longer):
                raise self.damaged(f"{size} bytes")
            for entry, start, stop in self._entry.spans:
                self._check_span(fd, data, entry.op or {}, start, stop)
        finally:
            os.close(fd)

    def _check_span(self, fd: int, data: memoryview | None, op: Op, start: int, stop: int) -> None:
        """Check the bytes that one line wrote."""
        hasher, at = xxh3_128(), start
        if self._is_grown and not start:  # the header has grown with the array
            head = header_of(op["about"])
            hasher.update(head)
            at = len(head)
            if data is not None:
                data[:at] = header_of(self._op["about"])
        for piece in _pieces(fd, at, stop, data):
            hasher.update(piece)
            at += len(piece)
        found = hasher.hexdigest()
        if at < stop or found != op.get("hash"):
            raise self.damaged(f"bytes {start} to {at} with the hash {found}")

    @property
    def may_be_longer(self) -> bool:
        """Tell whether there may be bytes behind the version's own: rows of a newer version or of a killed writer."""
        return self._is_grown or self._op.get("kind") == "array"

    def damaged(self, got: str) -> DamagedError:
        """Return the error that says what was found in place of the payload."""
        return DamagedError(
            f"expected {self.size_bytes} bytes with the hash {self.hash} for {self._name}@{self._entry.version}, "
            f"got {got}: {self._payload}",
            (self._payload,),
        )


def _pages(size: int) -> memoryview:
    """Return uninitialised memory: a bytearray would be filled with zeros first."""
    import numpy as np  # noqa: PLC0415 it is here already

    return np.empty(size, np.uint8).data


def hash_file(path: Path | str) -> tuple[int, str]:
    """Return size and hash of a file; a link is not followed."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        hasher, size = xxh3_128(), 0
        for piece in _pieces(fd, 0, os.fstat(fd).st_size, None):
            hasher.update(piece)
            size += len(piece)
    finally:
        os.close(fd)
    return size, hasher.hexdigest()


def _pieces(fd: int, start: int, stop: int, data: memoryview | None) -> Iterator[memoryview]:
    """Yield what a file holds from one position to another, in pieces that a cache holds until they are hashed.

    Args:
        fd: The file; a file that ends before `stop` ends the pieces.
        start: The first position.
        stop: The position behind the last.
        data: Memory for all bytes up to `stop`; by default a piece's memory is used again for the next.
    """
    room = None if data is not None else memoryview(bytearray(max(0, min(stop - start, _PIECE_BYTES))))
    while start < stop:
        size = min(stop - start, _PIECE_BYTES)
        piece = data[start : start + size] if data is not None else room[:size]  # type: ignore[index]
        got = os.preadv(fd, [piece], start)
        if not got:
            return
        yield piece[:got]
        start += got


def read_kind(op: Op) -> Any:
    """Return the kind of an item by its line."""
    return kind_of(op.get("kind"), str(op.get("file", "")))
