"""Completes a log whose processes were all killed: from the lanes into the journal, from the journal into files."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SegmentError
from ..memory import process, segment
from ..memory.channel import LogQueue
from ..memory.drain import LogDrain, open_hub
from ..memory.lane import Lane, find_lanes
from ..memory.owner import is_alive
from ..memory.segment import Kind
from . import layout
from .append import Appender, sync_directory
from .expand import Expansion, Fragments
from .journal import open_journals
from .messages import Account, MessageScan
from .pointer import POINTER, DirectoryLock, read_pointer
from .resume import journals_of, next_number, release_written

_TURN_BYTES = 1 << 20


@dataclass(frozen=True)
class Recovery:
    """What was found in a log directory and in shared memory, and what could not be had back."""

    salvaged: dict[int, int] = field(default_factory=dict)
    """Source -> messages taken out of the lanes of dead processes."""
    expanded: int = 0
    """Messages that were given their file."""
    recovered: dict[int, int] = field(default_factory=dict)
    """Source -> whole messages in the journals, those among them that were expanded included."""
    lost: dict[int, int] = field(default_factory=dict)
    """Source -> messages that were written once, as a checkpoint says, and are damaged now."""
    incomplete: dict[int, int] = field(default_factory=dict)
    """Source -> messages of which only some fragments are there: their put did not return."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Source -> messages that a full lane refused."""
    missing: int = 0
    """Records that were numbered and are nowhere."""
    damaged_bytes: int = 0
    """Bytes of journals that hold no valid record."""

    @property
    def whole(self) -> bool:
        """Whether nothing that was accepted is known to be lost."""
        return not (self.lost or self.missing or self.damaged_bytes)


def recover_log_directory(directory: Path, *, patience_s: float = 60.0) -> Recovery:
    """Finish what sessions that died left of a log and return what there is; nothing to do is no error.

    QueueBusyError while a logger works in the directory; one whose owner died is waited for.
    """
    directory = Path(directory).resolve()
    if not directory.is_dir():
        raise FileNotFoundError(f"expected a log directory at {directory}, got none")
    had_pointer = (directory / POINTER).exists()
    if not had_pointer and not dead_queues(directory) and not journals_of(directory):
        return Recovery()
    with DirectoryLock(directory, patience_s=patience_s) as lock:
        salvaged = salvage_dead(directory)
        account = scan_journals(directory)
        expanded = _expand_all(directory)
        lock.erase()
    return Recovery(
        salvaged=dict(sorted(salvaged.items())),
        expanded=expanded,
        recovered=account.recovered,
        lost=account.lost,
        incomplete=account.incomplete,
        dropped=account.dropped,
        missing=account.missing,
        damaged_bytes=account.damaged_bytes,
    )


def dead_queues(directory: Path) -> list[str]:
    """Return the names of the queues of a log directory whose creator and logger process both ended."""
    names = set()
    for name in segment.list_segments():
        head = segment.peek(name)
        if head is None or head.kind not in (Kind.QUEUE, Kind.LANE) or not name.startswith("axds-"):
            continue
        names.add(name if head.kind == Kind.QUEUE else name.rpartition("-")[0])
    return [name for name in sorted(names) if _belongs(name, directory) and _is_dead(name)]


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
    found = json.loads(description)
    return found if isinstance(found, dict) else {}


def _is_dead(name: str) -> bool:
    try:
        _, hub = open_hub(name)
    except FileNotFoundError:
        return True
    return not is_alive(hub.creator) and not is_alive(hub.consumer)


def _salvage(name: str, directory: Path) -> Counter[int]:
    try:
        drain = LogDrain.attach(name)
    except FileNotFoundError:
        drain = LogDrain.salvage(name)
    with drain:
        lanes = drain.lanes()
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
        sync_directory(directory)
    _remove_queue(name)
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


def _remove_queue(name: str) -> None:
    try:
        LogQueue.attach(name).discard()
    except FileNotFoundError:
        for found in find_lanes(name):
            Lane(found).discard()


def _storage_of(directory: Path, queue_id: int) -> int:
    for path in reversed(journals_of(directory, queue_id)):
        header = layout.parse_header(_first_page(path))
        if header is not None:
            return header.storage
    note = read_pointer(directory)
    named = note.get("storage") == "journal" and note.get("queue_id") == queue_id
    return layout.JOURNAL if named else layout.NPY


def _first_page(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(layout.HEADER_BYTES)


def is_for_files(path: Path) -> bool:
    """Whether a journal's messages are to become files."""
    header = layout.parse_header(_first_page(path))
    return header is not None and header.storage == layout.NPY


def _expand_all(directory: Path) -> int:
    fragments, made, waiting = Fragments(), 0, []
    for path in journals_of(directory):
        if not is_for_files(path):
            continue
        expansion = Expansion(path, fragments, process.boot_id())
        waiting.append(expansion)
        made += expansion.advance(expansion.end())
    for expansion in waiting:
        expansion.remove()
    return made


def without_file(directory: Path, queue_id: int) -> Counter[int]:
    """Count, by source, the messages in a queue's journals whose files were not made; nobody may be at work on them."""
    counts: Counter[int] = Counter()
    for path in journals_of(directory, queue_id):
        if is_for_files(path):
            with Expansion(path, Fragments(), process.boot_id()) as expansion:
                counts.update(expansion.left())
    return counts


def scan_journals(directory: Path) -> Account:
    """Read the journals of a log anew and return what is whole in them and what is not."""
    journals = open_journals(directory)
    scan = MessageScan(journals)
    for _ in scan.batches():
        pass
    for journal in journals:
        journal.close()
    return scan.account
