"""What tells one process from another, as one number that no other process of this boot has; whether it still lives."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

_ZOMBIE = (b"Z", b"X")
_PID_BITS = 22  # Linux never gives a larger pid; the start time fills the rest of 64 bits for 1,000 years of uptime
_own: dict[int, int] = {}  # pid of this process -> its identity


def start_time(pid: int) -> int:
    """Return when a living process began, in clock ticks since boot; 0 if there is none or it is a zombie.

    A pid alone names nobody: the kernel gives it to the next process. A pid with its start time does.
    """
    try:
        # The command is in brackets and may hold anything, also blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    is_over = fields[0] in _ZOMBIE and not _has_living_thread(pid)
    return 0 if is_over else int(fields[19])


def _has_living_thread(pid: int) -> bool:
    """Tell whether a process whose main thread ended has others: it looks like a zombie, and goes on."""
    for task in Path(f"/proc/{pid}/task").glob("[0-9]*/stat"):
        try:
            if task.read_bytes().rpartition(b")")[2].split()[0] not in _ZOMBIE:
                return True
        except OSError:  # it ended meanwhile
            continue
    return False


@functools.cache
def boot_id() -> bytes:
    """Return the 16 bytes by which the kernel names this boot; zeros where it names none."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_bytes().replace(b"-", b"").decode())
    except OSError:
        return bytes(16)


@functools.cache
def pid_namespace() -> int:
    """Return the number of this process's pid namespace; 0 where there are none."""
    try:
        return Path("/proc/thread-self/ns/pid").stat().st_ino
    except OSError:
        return 0


def who_maps(status: os.stat_result) -> list[int]:
    """Return the pids of the processes that map a file, as far as this user may look; not this one's mappings alone."""
    # Not by path: the kernel shows a block that was named late under the name that it had first.
    mark = f" {os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x} {status.st_ino} "
    return sorted(int(found.name) for found in Path("/proc").glob("[0-9]*") if _maps(found, mark))


def _maps(process_folder: Path, mark: str) -> bool:
    try:
        return mark in (process_folder / "maps").read_text(errors="replace")
    except OSError:  # another user's, or gone
        return False


def open_removed(folder: Path) -> Iterator[int]:
    """Open each file of a folder that has no name any more and that a process of this user has open.

    The descriptors are to read and write; the caller closes them.
    """
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
            if not (target.startswith(f"{folder}/") and target.endswith(" (deleted)")):
                continue
            descriptor = os.open(link, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # another user's, or closed meanwhile
            continue
        yield descriptor


def who_locks(status: os.stat_result) -> int:
    """Return the pid of the process that has an exclusive flock on a file or folder; 0 if that can't be told."""
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = Path("/proc/locks").read_bytes().decode().splitlines()
    except OSError:
        return 0
    for words in map(str.split, lines):  # number: FLOCK ADVISORY WRITE pid place start end
        if words[1:4] == ["FLOCK", "ADVISORY", "WRITE"] and words[5:6] == [place]:
            return int(words[4])
    return 0


def identity(pid: int, started: int) -> int:
    """Return the identity of a process: its start time and its pid in one word."""
    return started << _PID_BITS | pid


def own_identity() -> int:
    """Return the identity of this process."""
    pid = os.getpid()
    if pid not in _own:
        _own.clear()
        _own[pid] = identity(pid, start_time(pid))
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
        return start_time(pid_of(identity)) == start
    try:
        os.kill(pid_of(identity), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _forget() -> None:
    _own.clear()  # in a namespace of its own, a child may have its parent's pid
    pid_namespace.cache_clear()


os.register_at_fork(after_in_child=_forget)
