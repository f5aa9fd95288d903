"""The ledger of one store as it is now, folded; threads of an instance share it."""

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import DamagedError, StoreError
from ...system.disk import sync_data
from ..names import FOLDER, LEDGER, MIRROR, STAGING
from ..payloads import staged_path, write_all
from .fold import Fold
from .lines import Bad, Record, damaged, line_of, scan

_NOTHING = (-1, -1, -1)
_MANY_BYTES = 1 << 18


class History:
    """Follows a ledger: each look reads only what was appended since the last one.

    `lock` guards the fold, and nobody holds it while a disk is waited for.
    """

    def __init__(self, root: Path) -> None:
        self.lock = threading.RLock()
        self.ledger = root / FOLDER / LEDGER
        self.mirror = root / FOLDER / MIRROR
        self._staging = root / FOLDER / STAGING
        self._path = str(self.ledger)
        self._reset()

    def _reset(self) -> None:
        self._fold = Fold()
        self._mark = _NOTHING
        self._line, self._line_start = b"", 0  # the last line, by which a ledger that was replaced is told
        self.end = 0
        self.torn: Bad | None = None

    def fold(self) -> Fold:
        """Return the fold of all lines that are in the ledger now.

        Raises:
            DamagedError: A line is damaged, or the ledger is lost.
        """
        try:
            status = os.stat(self._path)  # noqa: PTH116 hot path
        except FileNotFoundError:
            raise DamagedError(f"expected a ledger, got none: {self._path}; see `axds store repair`") from None
        mark = (status.st_ino, status.st_size, status.st_mtime_ns)
        if mark == self._mark:
            return self._fold
        with self.lock:
            self._read(mark)
            return self._fold

    def _read(self, mark: tuple[int, int, int]) -> None:
        data = self._bytes(self._line_start)
        if not data.startswith(self._line) or mark[0] != self._mark[0]:
            self._reset()
            data = self._bytes(0)
        known = len(self._line)
        with _without_collections(len(data)):
            records, end, bad = scan(data[known:], seq=self._fold.seq, start=self._line_start + known)
            if bad and self.is_damage(bad):
                raise damaged(bad, self._path)
            self._take(records, data[: end - self._line_start], end)
        self.torn = bad
        self._mark = mark

    def _take(self, records: list[Record], data: bytes, end: int) -> None:
        """Fold lines in; `data` ends with them."""
        self._fold.apply(records)
        if records:
            self._line = data[data.rfind(b"\n", 0, -1) + 1 :]
            self._line_start = end - len(self._line)
        self.end = end

    def _bytes(self, start: int) -> bytes:
        with self.ledger.open("rb", buffering=0) as file:
            file.seek(start)
            return file.readall()

    def is_damage(self, bad: Bad) -> bool:
        """Tell whether bytes that are no line were a committed one: the mirror is written after the commit."""
        if not bad.is_tail:
            return True
        try:
            with self.mirror.open("rb") as file:
                file.seek(bad.start)
                piece = file.read(bad.stop - bad.start)
        except FileNotFoundError:
            return False
        if len(piece) < bad.stop - bad.start or not piece.endswith(b"\n"):
            return False
        return scan(piece, seq=bad.seq - 1)[2] is None

    def begin(self) -> Fold:
        """Return the fold for a writer that holds the lock of the store: cut a torn tail, level the mirror."""
        fold = self.fold()
        if self.torn:
            with self.lock:
                os.truncate(self.ledger, self.end)
                self.torn = None
                self._mark = _NOTHING
                fold = self.fold()
        self._level()
        return fold

    def _level(self) -> None:
        """Append to the mirror what it lacks; a mirror that is longer is set aside, since the ledger wins."""
        try:
            size = os.stat(self.mirror).st_size  # noqa: PTH116 hot path
        except FileNotFoundError:
            size = 0
        if size == self.end:
            return
        if size > self.end:
            os.rename(self.mirror, f"{self.mirror}.{staged_path(self._staging).rpartition('/')[2]}")  # noqa: PTH104
            size = 0
        self._append_to_mirror(self._bytes(size)[: self.end - size])

    def append(self, record: Record, *, is_synced: bool) -> None:
        """Commit a transaction: when this returns, it is in the ledger; on an exception it is not."""
        try:
            line = line_of(record)
        except (ValueError, TypeError) as error:
            raise StoreError(f"expected notes, inputs and meta that JSON can hold: {error}") from None
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            try:
                write_all(fd, line)
                if is_synced:
                    sync_data(fd)
            except BaseException:
                os.ftruncate(fd, self.end)
                raise
            status = os.fstat(fd)
        finally:
            os.close(fd)
        with self.lock:
            if self._fold.seq < record["seq"]:  # else a reader of this instance has seen the line
                self._take([record], line, self.end + len(line))
            self._mark = (status.st_ino, status.st_size, status.st_mtime_ns)
        try:
            self._append_to_mirror(line)
        except OSError:
            return  # the transaction is committed, and the next writer levels the mirror

    def _append_to_mirror(self, data: bytes) -> None:
        fd = os.open(self.mirror, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            write_all(fd, data)
        finally:
            os.close(fd)


@contextmanager
def _without_collections(size_bytes: int) -> Iterator[None]:
    """Pause the collector of cycles while many records are made, none of which is garbage: it would double the time."""
    if size_bytes < _MANY_BYTES or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
