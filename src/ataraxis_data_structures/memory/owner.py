"""A process as one number that no other process of this boot has, and whether it still lives."""

import contextlib
import os
import select

from . import process

_PID_BITS = 22  # Linux never gives a larger pid; the start time fills the rest of 64 bits for 1,000 years of uptime
_own: dict[int, int] = {}


def identity_of(pid: int) -> int:
    """Return the identity of a process: its start time and its pid in one word."""
    return process.start_time(pid) << _PID_BITS | pid


def own_identity() -> int:
    """Return the identity of this process."""
    pid = os.getpid()
    if pid not in _own:
        _own.clear()
        _own[pid] = identity_of(pid)
    return _own[pid]


def pid_of(identity: int) -> int:
    """Return the pid within an identity."""
    return identity & (1 << _PID_BITS) - 1


def is_alive(identity: int) -> bool:
    """Tell whether the process still runs; a zombie is dead, and so is one whose pid another process has now."""
    if not identity:
        return False
    start = identity >> _PID_BITS
    if start:
        return process.start_time(pid_of(identity)) == start
    try:
        os.kill(pid_of(identity), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Watch:
    """Knows the moment a process ends, from the kernel: one descriptor, a tenth of the price of reading /proc."""

    def __init__(self, identity: int) -> None:
        self.identity = identity
        self._poll: select.poll | None = None
        self._descriptor = -1
        with contextlib.suppress(OSError, AttributeError):  # gone, too many descriptors, or no such call here
            self._descriptor = os.pidfd_open(pid_of(identity))
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLIN)
        # Only now: the descriptor may be that of a later process with the same pid.
        self._dead = not is_alive(identity)

    def alive(self) -> bool:
        """Tell whether the process still runs; once dead is dead."""
        if not self._dead:
            self._dead = bool(self._poll.poll(0)) if self._poll is not None else not is_alive(self.identity)
        return not self._dead

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._poll = -1, None

    __del__ = close
