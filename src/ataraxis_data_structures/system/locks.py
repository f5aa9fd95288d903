"""Locks on open files, as flock gives them."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from . import platform

_PATIENCE_S = 10.0


def lock_file(descriptor: int, operation: int) -> None:
    """Take an flock in short slices, so that a stopped holder is a TimeoutError and Ctrl-C is heard."""
    deadline = time.monotonic() + _PATIENCE_S
    while not try_lock_file(descriptor, operation):
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected a file lock within {_PATIENCE_S:g} s, got none: its holder may be stopped")
        time.sleep(0.0005)


def try_lock_file(descriptor: int, operation: int) -> bool:
    """Take an flock if nobody is in the way."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def names_lock() -> Iterator[int]:
    """Hold the lock under which names in the folder come, go and change hands; yields the folder's descriptor."""
    descriptor = os.open(platform.FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock_file(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        # Closing alone would leave the lock with a child that another thread forked meanwhile.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
