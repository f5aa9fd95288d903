"""The lock file beside a tracker: one holder at a time, who changes the tracker or looks at it.

It is filelock's, so that hosts with the published library and hosts with ours exclude each other.
"""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from filelock import BaseFileLock, FileLock, Timeout

from ..system.locks import EXCLUSIVE, SHARED, try_lock_file

TIMEOUT_S = 10.0
_UNLOCKS = 3  # then the kernel does it, when the descriptor is collected
_POLL_INTERVAL_S = 0.005  # a waiting process costs 1 % of a core; filelock's own 50 ms would idle a busy tracker


@contextmanager
def for_change(path: str) -> Generator[None]:
    """Hold the lock, making its file; filelock.Timeout after ten seconds."""
    held = FileLock(path)
    held.acquire(TIMEOUT_S, poll_interval=_POLL_INTERVAL_S)
    try:
        yield
    finally:
        _release(held)


def _release(held: BaseFileLock) -> None:
    """Let go: the change is made by now, so that an unlock which fails (an interrupted one, say) is repeated."""
    for _ in range(_UNLOCKS):
        with suppress(OSError):
            held.release(force=True)
            return


@contextmanager
def for_look(path: str) -> Generator[bool]:
    """Hold the lock if its file is there; yields False where it is not, or may not be opened or locked.

    A look makes no file and needs no right to write. filelock.Timeout after ten seconds.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while (descriptor := _open(path)) is not None:
        try:
            is_held = _try_lock(descriptor)
            # Some versions of filelock remove the file when they let go: a lock on the removed one keeps nobody out.
            if is_held is None or (is_held and os.fstat(descriptor).st_nlink):
                yield bool(is_held)
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise Timeout(path)
        time.sleep(_POLL_INTERVAL_S)
    yield False


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _try_lock(descriptor: int) -> bool | None:
    """Return whether the lock was free; None where a file that is only read cannot be locked."""
    # Shared locks alone would let looks that overlap keep every change waiting: network file systems, which lock
    # exclusively only what is open for writing, get them.
    for kind in (EXCLUSIVE, SHARED):
        with suppress(OSError):
            return try_lock_file(descriptor, kind)
    return None
