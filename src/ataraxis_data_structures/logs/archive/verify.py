"""What is wrong with an archive, entry by entry."""

from typing import NamedTuple

import numpy as np

from ..._core import npz
from ...errors import ArchiveError
from .index import SPAN, Contents

_ENTRIES_AT_ONCE = 8192


class EntryFault(NamedTuple):
    """A damaged or foreign entry of an archive, and what is wrong with it."""

    key: str
    what: str


def find_faults(contents: Contents) -> list[EntryFault]:
    """Check every entry: its CRC-32, that it is a message, and that its name says its source and time."""
    faults: list[EntryFault] = []
    start = 0
    while start < len(contents):
        indices = np.arange(start, min(start + _ENTRIES_AT_ONCE, len(contents)), dtype=np.intp)
        room, done, fault = contents.directory.messages(indices)
        spans = np.frombuffer(room, SPAN, done)
        rows = contents.rows[start : start + done]
        sources = contents.bytes[(spans["start"] - np.uint64(9)).astype(np.intp)]
        named = rows["kind"] & npz.OURS != 0
        wrong = named & ((rows["time"] != spans["time"]) | (rows["source"] != sources))
        faults += [_misnamed(contents, start + number) for number in np.flatnonzero(wrong).tolist()]
        start += done
        if fault == "foreign":
            faults += _foreign_fault(contents, start)
        elif fault:
            faults.append(EntryFault(contents.directory.key(start), fault))
        start += bool(fault)
    return faults


def _misnamed(contents: Contents, index: int) -> EntryFault:
    return EntryFault(contents.directory.key(index), "the stored source or time is not what the name says")


def _foreign_fault(contents: Contents, index: int) -> list[EntryFault]:
    try:
        time, _ = contents.message(index)
    except ArchiveError as error:
        key = contents.directory.key(index)
        return [EntryFault(key, str(error).rpartition(f"{key}: ")[2])]
    row = contents.rows[index]
    ours = row["kind"] & npz.OURS
    return [_misnamed(contents, index)] if ours and row["time"] != time else []
