"""Locks on open files, as flock gives them; the kernel frees them when their holder ends."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

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


_held: set[int] = set()  # descriptors of `held_file`, which a forked child must not keep locked
_held_change = threading.Lock()


@contextlib.contextmanager
def held_file(path: Path, *, waits: bool = True) -> Iterator[None]:
    """Hold an exclusive lock by a file of its own, however long another process or thread has it; then remove it.

    A holder that ends in any way frees it, also one whose forked children live on. Without `waits`, BlockingIOError
    where another has it.
    """
    descriptor = _open_held(path, EXCLUSIVE if waits or FCNTL is None else EXCLUSIVE | FCNTL.LOCK_NB)
    try:
        yield
    finally:
        # Removed while it is locked: who waits for this file finds that it is no longer the one of that name.
        with _held_change:
            if descriptor in _held:  # else this is a forked child
                _held.discard(descriptor)
                path.unlink(missing_ok=True)
                unlock_file(descriptor)
                os.close(descriptor)


def _open_held(path: Path, operation: int) -> int:
    while True:
        with _held_change:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            _held.add(descriptor)
        try:
            if FCNTL is not None:
                FCNTL.flock(descriptor, operation)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:  # removed by its last holder
            pass
        except BaseException:
            _close_held(descriptor)
            raise
        _close_held(descriptor)


def _close_held(descriptor: int) -> None:
    with _held_change:
        _held.discard(descriptor)
        os.close(descriptor)


def _drop_held() -> None:
    """Close what the parent holds: the lock is the parent's, and a copy of its descriptor would keep it."""
    global _held_change  # noqa: PLW0603 another thread may have held it at the fork
    _held_change = threading.Lock()
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_drop_held)


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
