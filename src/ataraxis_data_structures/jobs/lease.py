"""Who runs a job, and whether that process is dead.

On its own machine the kernel says so, never a timeout: a process is its pid and its start time, a machine is its boot
and its pid namespace, never its name. For other machines its word is a lease: a file that the owner touches, whose age
is taken from the file system's clock, so that hosts need not agree on the time.
"""

import functools
import os
import select
import socket
import time
import uuid
from enum import Enum, auto
from pathlib import Path
from typing import Any

from ..system.process import boot_id, pid_namespace, start_time

Owner = dict[str, Any]

DEFAULT_LEASE_S = 300.0


class Life(Enum):
    """Whether a process lives, as far as this process can see."""

    DEAD = auto()
    ALIVE = auto()
    UNKNOWN = auto()


def this_host() -> str:
    """Return the name of this host, for people."""
    return socket.gethostname()


def this_machine() -> str:
    """Return what two processes have in common when one can see the other: boot and pid namespace."""
    boot = boot_id()
    return f"{uuid.UUID(bytes=boot) if any(boot) else _first_host()}/{pid_namespace()}"


def this_process() -> Owner:
    """Return the calling process as an owner."""
    return {"machine": this_machine(), "pid": os.getpid(), "began": start_time(os.getpid())}


def life_of(owner: Owner) -> Life:
    """Return whether an owner's process lives; unknown for one of another machine or pid namespace."""
    if owner.get("machine") != this_machine():
        return Life.UNKNOWN
    pid, began = owner["pid"], owner["began"]
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return Life.DEAD
    except (OSError, AttributeError):  # no descriptor left, or no such call here
        return _life_by_number(pid, began)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        # Only now: the descriptor may be that of a later process with the same pid.
        is_other = began and start_time(pid) not in (0, began)
        return Life.DEAD if is_other or poll.poll(0) else Life.ALIVE
    finally:
        os.close(descriptor)


def is_dead(owner: Owner, leases: Path, now_s: float) -> bool:
    """Whether the process is gone, or, where nobody here can see it, has let its lease run out."""
    life = life_of(owner)
    if life is not Life.UNKNOWN:
        return life is Life.DEAD
    return bool(owner.get("lease")) and _has_run_out(leases / owner["lease"], now_s)


def renew_lease(leases: Path, lease_s: float) -> str:
    """Begin or renew this process's lease and return its name, which no new name of the host changes."""
    me = this_process()
    name = f"{me['machine'].replace('/', '-')}-{me['pid']}-{me['began']}"
    text = f"{lease_s:g}\n"
    try:
        if (leases / name).read_text() == text:
            os.utime(leases / name)
            return name
    except FileNotFoundError:
        leases.mkdir(parents=True, exist_ok=True)
    (leases / name).write_text(text)
    return name


def clock_s(leases: Path, *, writing: bool) -> float:
    """Return the time on the file system's clock, which stamps the leases.

    Only a write tells that clock. Who looks makes no file for it: without the right to touch the one that is there,
    this host's clock must do.
    """
    clock = leases / "clock"
    try:
        if writing and leases.is_dir():
            clock.write_bytes(b"")
        else:
            os.utime(clock)
        return clock.stat().st_mtime
    except OSError:
        if writing:
            raise
        return time.time()


@functools.cache
def _first_host() -> str:
    """Return the name that the host had when it was asked first; where nothing tells the boot, it must do."""
    return socket.gethostname()


def _life_by_number(pid: int, began: int) -> Life:
    is_mine = True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Life.DEAD
    except PermissionError:
        is_mine = False
    if found := start_time(pid):
        return Life.ALIVE if began in (0, found) else Life.DEAD
    # A zombie. Another user's may also be one that the system hides: nothing says that it is dead.
    return Life.DEAD if is_mine else Life.ALIVE


def _has_run_out(lease: Path, now_s: float) -> bool:
    try:
        text, touched_s = lease.read_text(), lease.stat().st_mtime
    except FileNotFoundError:
        return True
    except OSError:  # not ours to read: nothing is known
        return False
    try:
        lease_s = float(text)
    except ValueError:  # its writer was killed
        lease_s = DEFAULT_LEASE_S
    return now_s - touched_s > lease_s
