"""What can be told of a segment from outside."""

from typing import Any

from ...memory import segment
from ...system import platform, process

Row = dict[str, Any]


def segment_row(name: str) -> Row | None:
    """Return the facts of one segment, None if it went meanwhile."""
    head = segment.peek(name)
    if head is None:
        return None
    try:
        status = (platform.FOLDER / name).stat()
    except FileNotFoundError:
        return None
    return {
        "name": name,
        "kind": head.kind.name.lower(),
        "bytes": head.size_bytes,
        "memory": status.st_blocks * 512,
        "creator": head.creator_pid,
        "creator_alive": _creator_lives(head),
        "in_use": not segment.is_stale(name),
        "uid": status.st_uid,
        "created_us": status.st_ctime_ns // 1000,
    }


def users_of(name: str) -> list[int]:
    """Return the processes that map a segment, as far as this user may look."""
    try:
        status = (platform.FOLDER / name).stat()
    except OSError:
        return []
    return process.who_maps(status)


def _creator_lives(head: segment.Header) -> bool | None:
    """Tell whether the creator runs; None from another pid namespace, where its number means nothing."""
    if head.pid_namespace != process.pid_namespace() or head.boot != process.boot_id():
        return None
    start = process.start_time(head.creator_pid)
    return start != 0 and start == head.creator_start
