"""Locks on open files, as flock gives them; the kernel frees them when their holder ends."""

import contextlib
import os
import time
from collections.abc import Iterator

from . import platform
from .platform import FCNTL

# Without the module (Windows) nobody records on the machine, and what is locked here is written by nobody else.
EXCLUSIVE: int = getattr(FCNTL, "LOCK_EX", 2)
SHARED: int = getattr(FCNTL, "LOCK_SH", 1)

_PATIENCE_S = 10.0


def lock_file(descriptor: int, operation: int) -> None:
    """Take an flock in short slices, so that a stopped holder is a TimeoutError and Ctrl-C is heard."""
    deadline = time.monotonic() + _PATIENCE_S
    while not try_lock_file(descriptor, operation):
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected a file lock within {_PATIENCE_S:g} s, got none: its holder may be stopped")
        time.sleep(0.0005)


def try_lock_file(descriptor: int, operation: int = EXCLUSIVE) -> bool:
    """Take an flock if nobody is in the way.

    Raises:
        OSError: The file system has no such locks.
    """
    if FCNTL is None:
        return True
    try:
        FCNTL.flock(descriptor, operation | FCNTL.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock_file(descriptor: int) -> None:
    """Give an flock back, also for the children that inherited its descriptor."""
    if FCNTL is not None:
        FCNTL.flock(descriptor, FCNTL.LOCK_UN)


@contextlib.contextmanager
def names_lock() -> Iterator[int]:
    """Hold the lock under which names in the folder come, go and change hands; yields the folder's descriptor."""
    descriptor = os.open(platform.FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock_file(descriptor, EXCLUSIVE)
        yield descriptor
    finally:
        # Closing alone would leave the lock with a child that another thread forked meanwhile.
        unlock_file(descriptor)
        os.close(descriptor)
