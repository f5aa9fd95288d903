"""Clears away segments that no live process maps."""

import contextlib
import os
from pathlib import Path

from ..errors import SegmentError
from ..system import locks, platform
from .external import left_over
from .segment import Kind, described, is_unmapped, list_segments, peek

_swept_by: set[int] = set()


def sweep() -> list[str]:
    """Unlink this user's stale segments and return their names; foreign files are never touched.

    A queue's segments are left to recovery if they hold messages, which are not on disk yet.
    """
    removed = []
    for name in list_segments():
        with locks.names_lock(), contextlib.suppress(FileNotFoundError):
            if _is_ours(name) and is_unmapped(name) and not _is_needed(name):
                (platform.FOLDER / name).unlink()
                removed.append(name)
    for path in left_over():
        with contextlib.suppress(FileNotFoundError):
            if _is_ours(path.name):
                path.unlink()
                removed.append(path.name)
    return removed


def sweep_once() -> None:
    """Sweep at this process's first call; a folder that is locked for long is left for another time."""
    if os.getpid() in _swept_by:
        return
    _swept_by.add(os.getpid())
    with contextlib.suppress(TimeoutError):
        sweep()


def _is_ours(name: str) -> bool:
    return (platform.FOLDER / name).stat().st_uid == os.geteuid()


def _is_needed(name: str) -> bool:
    head = peek(name)
    if head is None or head.kind is Kind.ARRAY:
        return head is None
    from . import lane  # noqa: PLC0415 who only has arrays needs no queue

    if head.kind is Kind.QUEUE:
        return any(map(lane.holds_messages, lane.find_lanes(name))) or _is_recorded(name)
    queue = name.rpartition("-")[0]  # as long as it is in use, its consumer removes its lanes
    return lane.holds_messages(name) or (peek(queue) is not None and not is_unmapped(queue))


def _is_recorded(name: str) -> bool:
    """Tell whether an owner record may still lead to a queue: without it, recovery could not say that it was empty."""
    from .consumer import RECORDED, open_hub  # noqa: PLC0415 see above

    try:
        block, hub = open_hub(name, abandoned=True)
    except (OSError, SegmentError):
        return False
    where = described(block.description).get("directory")
    # A directory that was renamed is most often still beside where it was.
    return isinstance(where, str) and hub.notes[RECORDED] != 0 and Path(where).parent.is_dir()
