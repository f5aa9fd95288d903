"""Takes what dead queues left in their lanes into the journals of their log."""

import os
import re
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from ...errors import SegmentError
from ...memory import segment
from ...memory.consumer import LogDrain, open_hub
from ...memory.lane import find_lanes, holds_messages
from ...memory.names import Names
from ...memory.segment import Kind
from ...system import process
from ...system.disk import sync_data, sync_folder
from ...system.process import is_alive
from ..control_words import Note
from ..journal import layout
from ..journal.holdings import Holdings
from ..journal.renew import distrust_files, renew
from ..journal.resume import release_written
from ..journal.writer import Appender
from ..log_directory import LogDirectory
from ..owner_record import OwnerRecord

_TURN_BYTES = 1 << 20
_NAME = re.compile(r"(?P<queue>axds-[0-9a-f]{10,})(-(?P<claim>[0-9a-f]+))?")


def dead_queues(directory: Path, names: Collection[str] | None = None) -> list[str]:
    """Return the names of the queues of a log directory whose creator and logger process both ended.

    They are looked for among the names in shared memory that an earlier look found, if it is given.
    """
    names = segment.list_names() if names is None else names
    status = directory.stat()
    recorded = {each.queue: each for each in OwnerRecord.read(directory).without_copied(status).queues}
    found = []
    for name in _queues(names):
        known = recorded.get(name)
        if known is None and not _was_made_for(name, status, names):
            continue
        # Nobody can ask for the processes of another pid namespace; but a logger of theirs would hold the directory.
        if is_dead(name) or (known is not None and known.is_far):
            found.append(name)
    return found


def awaits_recovery(directory: Path) -> bool:
    """Tell whether messages of a killed session wait in shared memory for a directory, which may be missing."""
    if not directory.is_dir():
        return False
    return any(holds_messages(lane) for name in dead_queues(directory) for lane in find_lanes(name))


def salvage_dead(directory: LogDirectory, holdings: Holdings) -> Counter[int]:
    """Write what dead queues left in their lanes into journals, as `salvage` does."""
    names = Names.look()._replace(directory=holdings.large)
    return salvage(dead_queues(directory.path, names.memory), directory, holdings, names)


def salvage(queues: list[str], directory: LogDirectory, holdings: Holdings, names: Names) -> Counter[int]:
    """Write what dead queues left in their lanes into journals; the owner record keeps those that were not found.

    Raises:
        OSError: A journal could not be written or synced; the next call writes it anew.
    """
    for path in holdings.journals():
        renew(path, holdings.header(path))
    salvaged: Counter[int] = Counter()
    for name in queues:
        salvaged.update(_salvage(name, directory, holdings, names))
    return salvaged


def _queues(listed: Collection[str]) -> list[str]:
    """Return the names of all queues that have a segment, be it that of a lane alone."""
    names = set()
    for name in segment.list_segments(listed):
        head = segment.peek(name)
        parsed = _NAME.fullmatch(name)
        if head is None or parsed is None or head.kind != (Kind.QUEUE if parsed["claim"] is None else Kind.LANE):
            continue
        names.add(parsed["queue"])
    return sorted(names)


def _was_made_for(name: str, status: os.stat_result, names: Collection[str]) -> bool:
    """Tell whether a queue that no owner record names belongs here: one that was filled before or after its logger ran.

    A logger that runs writes the record. If its record is gone, the directory is: this is another one in its place.
    """
    for found in (name, *find_lanes(name, names)):
        try:
            block = segment.Segment.attach(found)
        except (OSError, SegmentError):
            continue
        facts = segment.described(block.description)
        if (facts.get("device"), facts.get("inode")) != (status.st_dev, status.st_ino):
            return False
        try:
            return not open_hub(name, abandoned=True)[1].notes[Note.RECORDED]
        except (FileNotFoundError, SegmentError):  # its lanes alone are left
            return True
    return False


def is_dead(name: str) -> bool:
    """Tell whether the creator and the logger process of a queue are both known to have ended."""
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


def _salvage(name: str, directory: LogDirectory, holdings: Holdings, names: Names) -> Counter[int]:
    path = directory.path
    try:
        drain = LogDrain.attach(name, directory=path, abandoned=True, names=names)
    except (FileNotFoundError, SegmentError):
        drain = LogDrain.salvage(name, directory=path, names=names)
    with drain:
        lanes = drain.lanes()
        if drain.id is not None:
            # A producer may live: its puts raise from here on, and what it put before is seen below.
            drain.state = "closed"
        facts = lanes[0].description if lanes else {}
        queue_id, salt = drain.id or facts.get("queue_id", 0), drain.salt or facts.get("salt", 0)
        counts: Counter[int] = Counter()
        release_written(drain, holdings, queue_id)
        if not drain.idle:
            # Not the first one's number where earlier journals became files: records before it would count as missing.
            number = max(holdings.next_number(queue_id), drain.hub.notes[Note.NUMBER] if drain.id is not None else 0)
            header = layout.Header(
                queue_id, number, salt, _storage_of(holdings, queue_id, directory.record),
                time.time_ns() // 1000, process.boot_id(),
            )  # fmt: skip
            with Appender(path, header) as journal:
                holdings.add(journal.path, header)
                _drain_into(journal, drain)
            counts.update({source: messages for source, messages, _, _ in journal.tally.sources()})
        _sync(holdings.journals(queue_id), path)
        # In this order: a kill leaves an empty queue that is still found, never a record of one that is gone.
        if drain.id is not None:
            drain.hub.notes[Note.RECORDED] = 0
        directory.record.without(queue_id).write(directory.descriptor)
        drain.remove()
    return counts


def _sync(journals: list[Path], folder: Path) -> None:
    """Sync journals and their names; after an OSError, whoever goes on writes them anew."""
    try:
        for path in journals:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                sync_data(fd)
            finally:
                os.close(fd)
        sync_folder(folder)
    except OSError:
        distrust_files(journals)
        raise


def _drain_into(journal: Appender, drain: LogDrain) -> None:
    while True:
        busy = False
        for lane, span in drain.turns(_TURN_BYTES):
            journal.append(span)
            lane.release(len(span))
            busy = True
        if not busy and drain.idle:
            return


def _storage_of(holdings: Holdings, queue_id: int, record: OwnerRecord) -> int:
    for path in reversed(holdings.journals(queue_id)):
        header = holdings.header(path)
        if header is not None:
            return header.storage
    named = {queue.queue_id: queue.storage for queue in record.queues}
    return layout.JOURNAL if named.get(queue_id) == "journal" else layout.NPY
