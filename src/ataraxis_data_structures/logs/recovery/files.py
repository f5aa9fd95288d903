"""Makes the message files of journals whose logger process ended before it could."""

from collections import Counter
from pathlib import Path

from ...system import process
from ..journal import layout
from ..journal.holdings import Holdings
from ..journal.npy_files import Expansion, remove_expanded


def expand_journals(holdings: Holdings) -> int:
    """Make the files of all messages in journals that are to become files; return how many were made."""
    made, finished = 0, []
    for path in holdings.journals():
        header = holdings.header(path)
        if header is None or header.storage != layout.NPY:
            continue
        expansion = Expansion(path, process.boot_id(), header)
        finished.append(expansion)
        made += expansion.advance(expansion.end())
    remove_expanded(finished)
    holdings.remove(expansion.path for expansion in finished)
    return made


def without_file(directory: Path, queue_id: int) -> Counter[int]:
    """Count, by source, the messages in a queue's journals whose files were not made; nobody may be at work on them."""
    counts: Counter[int] = Counter()
    holdings = Holdings(directory)
    for path in holdings.journals(queue_id):
        header = holdings.header(path)
        if header is not None and header.storage == layout.NPY:
            with Expansion(path, process.boot_id(), header) as expansion:
                counts.update(expansion.left())
    return counts
