"""What tells one process from another: start time, boot, pid namespace."""

from pathlib import Path

_ZOMBIE = (b"Z", b"X")


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


def boot_id() -> bytes:
    """Return the 16 bytes by which the kernel names this boot; zeros where it names none."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", ""))
    except OSError:
        return bytes(16)


def pid_namespace() -> int:
    """Return the number of this process's pid namespace; 0 where there are none."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0
