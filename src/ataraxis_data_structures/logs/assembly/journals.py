"""The messages of journals as members of archives, and what becomes of the journals afterwards."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npz
from ..journal.messages import MessageScan
from ..journal.reader import Journal, open_journals
from .plan import MEMBER, Part


@dataclass
class Journals:
    """The journals of a log directory: `rows` has the members of each source, by time; equal ones by arrival.

    The volume of a member is its journal's index plus one.
    """

    opened: list[Journal]
    scan: MessageScan
    rows: dict[int, NDArray[Any]] = field(default_factory=dict)

    @property
    def volumes(self) -> list[Any]:
        """The buffers of the journals."""
        return [journal.buffer for journal in self.opened]

    @property
    def finished(self) -> list[str]:
        """The names of the journals that may go when their messages are in archives."""
        return [journal.path.name for journal in self.opened if not journal.damaged]

    @property
    def damaged(self) -> list[str]:
        """The names of those that hold bytes which are no record: people may want to look at them."""
        return [journal.path.name for journal in self.opened if journal.damaged]

    def part(self, source: int) -> Part:
        """Return the members of one source."""
        return Part(self.rows.get(source, np.zeros(0, MEMBER)), self._read, self._origin)

    def close(self) -> None:
        """Let go of the files."""
        for journal in self.opened:
            journal.close()

    def _read(self, row: np.void) -> bytes:
        return npz.message_file(int(row["source"]), int(row["time"]), self._payload(row))

    def _payload(self, row: np.void) -> Any:
        start, length = int(row["place"]), int(row["size"]) - npz.PREFIX_BYTES
        return self.opened[int(row["volume"]) - 1].buffer[start : start + length]

    def _origin(self, row: np.void) -> str:
        return f"{self.opened[int(row['volume']) - 1].path.name}: message of source {row['source']} at {row['time']}"


def read_journals(directory: Path) -> Journals:
    """Open the journals of a log directory and find their messages."""
    opened = open_journals(directory)
    scan = MessageScan(opened)
    blocks: dict[int, list[NDArray[Any]]] = {}
    for batch in scan.batches():
        rows = np.zeros(len(batch), MEMBER)
        rows["time"], rows["place"], rows["source"] = batch["time"], batch["offset"], batch["source"]
        rows["size"] = batch["length"] + np.uint64(npz.PREFIX_BYTES)
        rows["volume"] = batch["journal"] + 1
        rows["origin"] = npz.FROM_JOURNAL
        for source in np.unique(rows["source"]).tolist():
            blocks.setdefault(source, []).append(rows[rows["source"] == source])
    found = Journals(opened, scan)
    for source in list(blocks):
        merged = np.concatenate(blocks.pop(source))
        found.rows[source] = merged[np.argsort(merged["time"], kind="stable")]
    return found
