"""Journals of a logger that was started while an assembly or a recovery had the log directory.

They lie in a hidden folder of the log directory, `.axds-pending-QUEUE`, which an assembly that is at work does not look
into: it takes what lay in the directory itself when it took the lock. The logger process holds a lock of the folder. It
moves the journals into the directory as soon as it gets the directory's own lock. If it dies before, the next process
that has the directory does so.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import QueueBusyError
from ..system.disk import sync_folder
from ..system.locks import try_lock_file, unlock_file
from .journal.layout import list_journals

_PREFIX = ".axds-pending-"
_PATIENCE_S = 1.0


class PendingFolder:
    """The folder of one queue's journals that this process has locked.

    Attributes:
        path: Where it is.
        descriptor: Its descriptor.
    """

    def __init__(self, directory: Path, queue_id: int) -> None:
        """Make the folder, or go on with it; QueueBusyError if another logger process is at work there."""
        self.path = directory / f"{_PREFIX}{queue_id:016x}"
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            self.path.mkdir(exist_ok=True)
            self.descriptor = _open(self.path)
            if try_lock_file(self.descriptor) and os.fstat(self.descriptor).st_nlink:
                break  # else somebody looks whether it is in use, or has removed it as one that is not
            os.close(self.descriptor)
            if time.monotonic() > deadline:
                raise QueueBusyError(f"expected nobody at work in {self.path}, got another logger process")
            time.sleep(0.01)
        sync_folder(directory)

    def release(self) -> None:
        """Let go of the folder with what is in it."""
        unlock_file(self.descriptor)
        os.close(self.descriptor)


def refuse_waiting_logger(directory: Path, names: Iterable[str], queue_id: int = 0) -> None:
    """Raise QueueBusyError if a logger waits for the directory, but for that of one queue; `names` lie in it."""
    for path in _folders(directory, names):
        if path.name != f"{_PREFIX}{queue_id:016x}" and not _try_with(path, lambda _: None):
            raise QueueBusyError(
                f"expected no other logger at work in {directory}, got one that keeps its journals in {path.name}"
            )


def join_pending(directory: Path, names: Iterable[str], *, patience_s: float = _PATIENCE_S) -> bool:
    """Move the journals that dead loggers left in folders of their own into the directory, whose lock is held.

    A logger process that was killed may take a moment to end: that long is waited for each folder that is in use.

    Args:
        directory: The log directory.
        names: What lies in it.
        patience_s: How long to wait.

    Returns:
        Whether there was such a folder.
    """
    deadline = time.monotonic() + patience_s
    folders = _folders(directory, names)
    for path in folders:
        while not _try_with(path, move_journals) and time.monotonic() < deadline:
            time.sleep(0.01)
    return bool(folders)


def move_journals(folder: Path) -> None:
    """Move the journals of a folder into the log directory that it lies in, sync them there, and remove the folder."""
    for journal in sorted(list_journals(folder)):
        journal.rename(folder.parent / journal.name)
    sync_folder(folder.parent)
    try:
        folder.rmdir()
    except OSError as error:  # something of others is in it
        if error.errno != errno.ENOTEMPTY:
            raise


def _folders(directory: Path, names: Iterable[str]) -> list[Path]:
    paths = sorted(directory / name for name in names if name.startswith(_PREFIX))
    return [path for path in paths if path.is_dir() and not path.is_symlink()]


def _try_with(path: Path, act: Callable[[Path], None]) -> bool:
    """Do something with a folder whose logger is gone; False if one is at work there."""
    try:
        descriptor = _open(path)
    except FileNotFoundError:
        return True
    try:
        if not try_lock_file(descriptor):
            return False
        act(path)
        unlock_file(descriptor)
        return True
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
