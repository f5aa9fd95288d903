"""Who runs a job, and whether that process is dead.

On its own machine the kernel says so, never a timeout: a process is its pid and its start time. For other machines its
word is a lease: a file that the owner touches, whose age is taken from the file system's clock, so that hosts need not
agree on the time.
"""

import os
import socket
from pathlib import Path
from typing import Any

Owner = dict[str, Any]


def this_host() -> str:
    """Return the name of this host."""
    return socket.gethostname()


def this_machine() -> str:
    """Return what two processes have in common when one can see the other: boot and pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no /proc: the name must do
        return socket.gethostname()


def this_process() -> Owner:
    """Return the calling process as an owner."""
    return {"machine": f"{this_host()}/{this_machine()}", "pid": os.getpid(), "began": _start_time(os.getpid())}


def is_dead(owner: Owner, leases: Path) -> bool:
    """Whether the process is gone, or, on another machine, has let its lease run out."""
    if owner["machine"] == this_process()["machine"]:
        return _is_gone(owner["pid"], owner["began"])
    return "lease" in owner and _has_run_out(leases / owner["lease"], leases / "clock")


def renew_lease(leases: Path, lease_s: float) -> str:
    """Begin or renew this process's lease and return its name."""
    me = this_process()
    name = f"{this_host()}-{me['pid']}-{me['began']}"
    text = f"{lease_s:g}\n"
    try:
        if (leases / name).read_text() == text:
            os.utime(leases / name)
            return name
    except FileNotFoundError:
        leases.mkdir(parents=True, exist_ok=True)
    (leases / name).write_text(text)
    return name


def _start_time(pid: int) -> int:
    """Return the start of a process in clock ticks since boot; 0 where there is no /proc."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except FileNotFoundError:
        return 0


def _is_gone(pid: int, began: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return True if Path("/proc/self/stat").exists() else not _answers(pid)
    return fields[0] in (b"Z", b"X") or int(fields[19]) != began


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _has_run_out(lease: Path, clock: Path) -> bool:
    try:
        lease_s, touched = float(lease.read_text()), lease.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return True
    clock.write_bytes(b"")
    return clock.stat().st_mtime - touched > lease_s
