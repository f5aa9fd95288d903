"""Takes what dead queues left in their lanes into the journals of their log."""

import json
import re
import time
from collections import Counter
from pathlib import Path

from ...errors import SegmentError
from ...memory import segment
from ...memory.consumer import LogDrain, open_hub
from ...memory.lane import find_lanes
from ...memory.segment import Kind
from ...system import process
from ...system.disk import sync_folder
from ...system.process import is_alive
from ..journal import layout
from ..journal.resume import journals_of, next_number, release_written
from ..journal.writer import Appender
from ..log_directory import read_pointer

_TURN_BYTES = 1 << 20
_NAME = re.compile(r"(?P<queue>axds-[0-9a-f]{10,})(-(?P<claim>[0-9a-f]+))?")


def dead_queues(directory: Path) -> list[str]:
    """Return the names of the queues of a log directory whose creator and logger process both ended."""
    names = set()
    for name in segment.list_segments():
        head = segment.peek(name)
        parsed = _NAME.fullmatch(name)
        if head is None or parsed is None or head.kind != (Kind.QUEUE if parsed["claim"] is None else Kind.LANE):
            continue
        names.add(parsed["queue"])
    return [name for name in sorted(names) if _belongs(name, directory) and is_dead(name)]


def salvage_dead(directory: Path) -> Counter[int]:
    """Write what dead queues left in their lanes into journals; whoever calls holds the directory's lock."""
    salvaged: Counter[int] = Counter()
    for name in dead_queues(directory):
        salvaged.update(_salvage(name, directory))
    return salvaged


def _belongs(name: str, directory: Path) -> bool:
    for found in (name, *find_lanes(name)):
        try:
            block = segment.Segment.attach(found)
        except (OSError, SegmentError):
            continue
        where = _described(block.description).get("directory")
        return where is not None and Path(where) == directory
    return False


def _described(description: bytes) -> dict[str, str]:
    try:
        found = json.loads(description)
    except ValueError:  # a segment of another program, or a damaged one: it leads to no log
        return {}
    return found if isinstance(found, dict) else {}


def is_dead(name: str) -> bool:
    """Tell whether the creator and the logger process of a queue both ended."""
    head = segment.peek(name)
    if head is None:
        return True
    if segment.creator_alive(name, head):
        return False
    if head.pid_namespace != process.pid_namespace():
        return True  # the lock of its memory is free: no process of whatever namespace has it
    try:
        _, hub = open_hub(name)
    except FileNotFoundError:
        return True
    except SegmentError:
        return segment.is_stale(name)
    return not is_alive(hub.consumer)


def _salvage(name: str, directory: Path) -> Counter[int]:
    try:
        drain = LogDrain.attach(name, directory=directory, abandoned=True)
    except (FileNotFoundError, SegmentError):
        drain = LogDrain.salvage(name, directory=directory)
    with drain:
        lanes = drain.lanes()
        if drain.id is not None:
            # A producer may live: its puts raise from here on, and what it put before is seen below.
            drain.state = "closed"
        facts = lanes[0].description if lanes else {}
        queue_id, salt = drain.id or facts.get("queue_id", 0), drain.salt or facts.get("salt", 0)
        counts: Counter[int] = Counter()
        release_written(drain, directory, queue_id)
        if not drain.idle:
            header = layout.Header(
                queue_id, next_number(directory, queue_id), salt, _storage_of(directory, queue_id),
                time.time_ns() // 1000, process.boot_id(),
            )  # fmt: skip
            with Appender(directory, header) as journal:
                _drain_into(journal, drain)
                journal.sync()
            counts.update({source: messages for source, messages, _, _ in journal.tally.sources()})
        sync_folder(directory)
        drain.remove()
    return counts


def _drain_into(journal: Appender, drain: LogDrain) -> None:
    while True:
        busy = False
        for lane, span in drain.turns(_TURN_BYTES):
            journal.append(span)
            lane.release(len(span))
            busy = True
        if not busy and drain.idle:
            return


def _storage_of(directory: Path, queue_id: int) -> int:
    for path in reversed(journals_of(directory, queue_id)):
        header = layout.parse_header(_first_page(path))
        if header is not None:
            return header.storage
    note = read_pointer(directory)
    named = note.get("storage") == "journal" and note.get("queue_id") == queue_id
    return layout.JOURNAL if named else layout.NPY


def is_for_files(path: Path) -> bool:
    """Whether a journal's messages are to become files."""
    header = layout.parse_header(_first_page(path))
    return header is not None and header.storage == layout.NPY


def _first_page(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(layout.HEADER_BYTES)
