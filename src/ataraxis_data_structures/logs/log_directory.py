"""Who works in a log directory: one lock for it, and a note that leads from it to the queue in shared memory."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import QueueBusyError
from ..system.locks import try_lock_file
from ..system.process import is_alive, pid_of

POINTER = ".axds-logger.json"
_STEP_S = 0.02
_BRIEF_S = 1.0  # an assembly may take an hour: a logger that starts does not wait for it


@contextmanager
def locked_folder(directory: Path, *, patience_s: float = 60.0) -> Iterator[int]:
    """Open a log directory for the only logger, assembly or recovery in it, and give its descriptor.

    Other assemblies and recoveries are waited for. QueueBusyError while a logger works there, or one that was started
    still has its owner; a logger whose owner is gone ends by itself and is waited for as long as `patience_s`.
    """
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + patience_s
        while not _try_lock(folder):
            _refuse_logger(directory, late=time.monotonic() > deadline)
            time.sleep(_STEP_S)
        yield folder
    finally:
        os.close(folder)


class DirectoryLock:
    """The right to write into a log directory; the kernel gives it back when its holder dies."""

    def __init__(
        self, directory: Path, *, queue_id: int = 0, patience_s: float = 0.0, folder: int | None = None
    ) -> None:
        """Take the lock for a queue; QueueBusyError while another queue's logger, or its owner, lives.

        A logger whose owner is gone ends by itself when it has written everything: it is waited for as long as
        `patience_s`, an assembly or a recovery for a second at most. `folder` is the descriptor of a caller that holds
        the directory by `locked_folder` already.
        """
        self.directory = directory
        self._path = directory / POINTER
        self._queue_id = queue_id
        self._fd = -1
        self._folder = -1
        if folder is None:
            self._folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._acquire(patience_s)
        except BaseException:
            self.release()
            raise

    def note(self, **facts: Any) -> None:
        """Write down which queue the log's messages come from."""
        data = json.dumps(facts).encode()
        os.pwrite(self._fd, data + b"\n", 0)
        os.ftruncate(self._fd, len(data) + 1)

    def erase(self) -> None:
        """Remove the note: nothing of this log is anywhere else."""
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let another logger have the directory."""
        for fd in (self._fd, self._folder):
            if fd >= 0:
                os.close(fd)
        self._fd = self._folder = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _acquire(self, patience_s: float) -> None:
        start = time.monotonic()
        while True:
            if self._folder < 0 or _try_lock(self._folder):
                self._fd = self._try()
                if self._fd >= 0:
                    return
            waited_s = time.monotonic() - start
            if self._owner_lives() or waited_s > patience_s:
                raise _busy(self.directory)
            if waited_s > _BRIEF_S and not _is_logger_alive(read_pointer(self.directory)):
                raise _busy(self.directory)
            time.sleep(_STEP_S)

    def _try(self) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            # The last holder may have removed the file that was just locked.
            if try_lock_file(fd) and os.fstat(fd).st_nlink and not self._owner_lives():
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return -1

    def _owner_lives(self) -> bool:
        note = read_pointer(self.directory)
        return note.get("queue_id") not in (None, self._queue_id) and is_alive(note.get("owner", 0))


def read_pointer(directory: Path) -> dict[str, Any]:
    """Return what is noted in a log directory; nothing if no logger works, or worked last, there."""
    try:
        found = json.loads((directory / POINTER).read_bytes() or b"{}")
    except (OSError, ValueError):  # none, or caught in the middle of being written
        return {}
    return found if isinstance(found, dict) else {}


def _try_lock(folder: int) -> bool:
    try:
        return try_lock_file(folder)
    except OSError:  # a file system without locks on folders: who shares it has to agree on who assembles
        return True


def _refuse_logger(directory: Path, *, late: bool) -> None:
    note = read_pointer(directory)
    if is_alive(note.get("owner", 0)) or (late and _is_logger_alive(note)):
        raise _busy(directory)


def _is_logger_alive(note: dict[str, Any]) -> bool:
    return is_alive(note.get("logger", 0))


def _busy(directory: Path) -> QueueBusyError:
    note = read_pointer(directory)
    holder = pid_of(note.get("logger") or note.get("owner") or 0)
    if holder:
        return QueueBusyError(f"expected no other logger at work in {directory}, got process {holder}")
    return QueueBusyError(f"expected nobody at work in {directory}, got an assembly or recovery of another process")
