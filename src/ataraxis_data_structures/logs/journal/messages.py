"""Messages out of journals: each once, and an account of what is missing."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import frame
from .layout import HEADER_BYTES
from .reader import Journal

# One message, whose payload lies at `offset` of `journal` (an index into the list that was scanned).
MESSAGE = np.dtype([("time", "<u8"), ("length", "<u8"), ("offset", "<u8"), ("journal", "<u4"), ("source", "u1")])


@dataclass
class Account:
    """What a scan of journals found and what it missed."""

    recovered: dict[int, int] = field(default_factory=dict)
    """Source -> messages that are whole."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Source -> messages that a full lane refused, as its gap records say."""
    dropped_by_queue: dict[int, dict[int, int]] = field(default_factory=dict)
    """Queue -> the same of its messages."""
    lost: dict[int, int] = field(default_factory=dict)
    """Source -> messages that a checkpoint or footer counts and the file does not hold whole."""
    repeated: int = 0
    """Records that were there twice and are counted once."""
    missing: int = 0
    """Records that their claims numbered and no journal holds, up to the last one that is there."""
    damaged_bytes: int = 0
    """Bytes that no valid record covers."""

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing."""
        return not (self.lost or self.missing or self.damaged_bytes)


class MessageScan:
    """The messages of journals in order of arrival; `account` is final when `batches` has ended."""

    def __init__(self, journals: Sequence[Journal]) -> None:
        self.journals = list(journals)
        self.account = Account()
        self._next_seq: dict[tuple[int, int], int] = {}
        self._holes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._origin: dict[int, int] | None = None  # claim -> first seq that the current journal may hold, if known
        self._found = np.zeros(256, np.int64)  # of the current journal
        self._counted = np.zeros(256, np.int64)

    def batches(self, max_rows: int = 65536) -> Iterator[NDArray[Any]]:
        """Yield arrays of MESSAGE, never an empty one."""
        for index, journal in enumerate(self.journals):
            self._found[:] = self._counted[:] = 0
            self._origin = self._origin_of(journal)
            for rows in journal.rows(max_rows):
                batch = self._messages(index, rows)
                if len(batch):
                    yield batch
            self.account.damaged_bytes += sum(stop - start for start, stop in journal.damaged)

    def payload(self, message: np.void) -> memoryview:
        """Return the payload of one message, a view of its journal."""
        start = int(message["offset"])
        return self.journals[int(message["journal"])].buffer[start : start + int(message["length"])]

    @staticmethod
    def _origin_of(journal: Journal) -> dict[int, int] | None:
        """Return the numbers a journal goes on from; None after the death of a writer, which leaves them unsaid."""
        first = next(journal.rows(1), None)
        if first is not None and first["flags"][0] == frame.CHECKPOINT and first["offset"][0] == HEADER_BYTES:
            totals = journal.totals(first[0])
            return totals.claims if totals is not None else None
        return None if journal.header.number else {}

    def _messages(self, index: int, rows: NDArray[Any]) -> NDArray[Any]:
        rows = self._once(index, rows)
        plain = (rows["flags"] == frame.MESSAGE) & (rows["claim"] != 0)
        batch = np.zeros(int(plain.sum()), MESSAGE)
        for name in ("time", "length", "source"):
            batch[name] = rows[name][plain]
        batch["offset"] = rows["offset"][plain] + np.uint64(frame.RECORD_BYTES)
        batch["journal"] = index
        if plain.all():
            self._found += np.bincount(batch["source"], minlength=256)
        else:
            self._take_others(index, rows, plain, batch)
        counts = np.bincount(batch["source"], minlength=256)
        for source in np.flatnonzero(counts).tolist():
            self.account.recovered[source] = self.account.recovered.get(source, 0) + int(counts[source])
        return batch

    def _take_others(self, index: int, rows: NDArray[Any], plain: NDArray[Any], batch: NDArray[Any]) -> None:
        """Note gaps and checkpoints, each after the messages before it."""
        places = np.cumsum(plain)
        done = 0
        for at in np.flatnonzero(~plain):
            row = rows[at]
            self._found += np.bincount(batch["source"][done : places[at]], minlength=256)
            done = int(places[at])
            flags, source = int(row["flags"]), int(row["source"])
            if flags & (frame.CHECKPOINT | frame.FOOTER):
                self._compare(index, row)
            elif flags & frame.GAP:
                dropped = int.from_bytes(self.journals[index].payload(row)[:8], "little")
                own = self.account.dropped_by_queue.setdefault(self.journals[index].header.queue_id, {})
                for counts in (self.account.dropped, own):
                    counts[source] = counts.get(source, 0) + dropped
            else:  # whatever it is, this version cannot tell
                self.account.damaged_bytes += frame.span(int(row["length"]))
        self._found += np.bincount(batch["source"][done:], minlength=256)

    def _compare(self, index: int, row: np.void) -> None:
        """Hold what a checkpoint counts against what was found since the one before."""
        totals = np.zeros(256, np.int64)
        said = self.journals[index].totals(row)
        if said is None:
            self.account.damaged_bytes += frame.span(int(row["length"]))
            return
        for source, (messages, _, _) in said.sources.items():
            totals[source] = messages
        for claim, seq in said.claims.items():
            self._skip_to((self.journals[index].header.queue_id, claim), seq)
        lost = totals - self._counted - self._found
        for source in np.flatnonzero(lost > 0).tolist():
            self.account.lost[source] = self.account.lost.get(source, 0) + int(lost[source])
        self._counted[:] = totals
        self._found[:] = 0

    def _once(self, index: int, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows without records that came before; notes the holes in each claim's numbers."""
        queue_id = self.journals[index].header.queue_id
        keep = np.ones(len(rows), np.bool_)
        for claim in np.unique(rows["claim"]):
            if not claim:
                continue
            places = np.flatnonzero(rows["claim"] == claim)
            seqs = rows["seq"][places]
            key = (queue_id, int(claim))
            expected = self._expected(key, int(seqs[0]))
            if int(seqs[0]) == expected and int(seqs[-1]) - expected == len(seqs) - 1 and (np.diff(seqs) == 1).all():
                self._next_seq[key] = int(seqs[-1]) + 1
                continue
            for place, seq in zip(places, seqs.tolist(), strict=True):
                keep[place] = self._is_new(key, seq)
        self.account.repeated += len(rows) - int(keep.sum())
        return rows if keep.all() else rows[keep]

    def _expected(self, key: tuple[int, int], seq: int) -> int:
        if key not in self._next_seq:
            self._next_seq[key] = seq if self._origin is None else self._origin.get(key[1], 0)
        return self._next_seq[key]

    def _skip_to(self, key: tuple[int, int], seq: int) -> None:
        expected = self._expected(key, seq)
        if seq > expected:
            self._holes.setdefault(key, []).append((expected, seq))
            self.account.missing += seq - expected
            self._next_seq[key] = seq

    def _is_new(self, key: tuple[int, int], seq: int) -> bool:
        if seq >= self._expected(key, seq):
            self._skip_to(key, seq)
            self._next_seq[key] = seq + 1
            return True
        holes = self._holes.get(key, [])
        at = bisect.bisect_right(holes, (seq, 1 << 64)) - 1  # they ascend
        if at < 0 or seq >= holes[at][1]:
            return False
        start, stop = holes[at]
        holes[at : at + 1] = [hole for hole in ((start, seq), (seq + 1, stop)) if hole[0] < hole[1]]
        self.account.missing -= 1
        return True
