"""Makes the message files of journals whose logger process ended before it could."""

from collections import Counter
from pathlib import Path

from ...system import process
from ..journal.npy_files import Expansion, remove_expanded
from ..journal.resume import journals_of
from .lanes import is_for_files


def expand_journals(directory: Path) -> int:
    """Make the files of all messages in journals that are to become files; return how many were made."""
    made, finished = 0, []
    for path in journals_of(directory):
        if not is_for_files(path):
            continue
        expansion = Expansion(path, process.boot_id())
        finished.append(expansion)
        made += expansion.advance(expansion.end())
    remove_expanded(finished)
    return made


def without_file(directory: Path, queue_id: int) -> Counter[int]:
    """Count, by source, the messages in a queue's journals whose files were not made; nobody may be at work on them."""
    counts: Counter[int] = Counter()
    for path in journals_of(directory, queue_id):
        if is_for_files(path):
            with Expansion(path, process.boot_id()) as expansion:
                counts.update(expansion.left())
    return counts
