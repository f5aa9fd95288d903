"""What the names mean: a fold of the ledger's lines, which keeps every version of every name.

A version is the number of the line that made it, so a look at line n needs no second fold: it is the last entry of a
name that is not above n. Entries are never changed, and are only added at the end of their list, which is why a reader
of an old line needs no lock.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...errors import DamagedError
from .lines import Record

Op = dict[str, Any]
MADE, ENDED = frozenset({"put", "extend"}), "delete"


@dataclass(slots=True)
class Entry:
    """What a name means from line `seq` on: the version that line `version` made, or nothing (`op` is None)."""

    seq: int
    version: int
    op: Op | None
    record: Record
    before: "Entry | None" = None  # what an appended array was before
    is_checked: bool = False
    item: Any = None  # what a reader was told of it, made once

    @property
    def spans(self) -> "list[tuple[Entry, int, int]]":
        """Return the entries that wrote the payload's bytes, each with the first and the last of its own bytes."""
        chain, entry = [], self
        while entry.before is not None and entry.op is not None:
            start = size_of(entry.before.op)
            chain.append((entry, start, size_of(entry.op)))
            entry = entry.before
        chain.append((entry, 0, size_of(entry.op)))
        return chain[::-1]


def size_of(op: Op | None) -> int:
    """Return the bytes that a payload has by its line."""
    size = op.get("bytes") if op is not None else None
    if type(size) is not int or size < 0:
        raise DamagedError(f"expected a number of bytes in the ledger, got {size!r}")
    return size


_TYPES: dict[str, type] = {
    **dict.fromkeys(("kind", "hash", "file", "view", "note", "uri", "data", "sha256", "etag"), str),
    "about": dict, "meta": dict, "inputs": list, "bytes": int,
}  # fmt: skip
_OF_A_PAYLOAD = frozenset({"kind", "about", "bytes", "hash", "file", "view"})


def checked(entry: Entry) -> Entry:
    """Return an entry whose fields have the types that a writer gives them.

    Done when an entry is first looked at: a store is opened without it.

    Raises:
        DamagedError: They do not.
    """
    op = entry.op
    if entry.is_checked or op is None:
        return entry
    needed = {"kind", "uri"} if op.get("kind") == "reference" else _OF_A_PAYLOAD
    wrong = [key for key, kind in _TYPES.items() if (key in op or key in needed) and type(op.get(key)) is not kind]
    if not wrong and "inputs" in op and not all(type(text) is str for text in op["inputs"]):
        wrong = ["inputs"]
    if wrong or ("bytes" in op and op["bytes"] < 0):
        raise DamagedError(f"expected {wrong or 'bytes'} of line {entry.seq} of the ledger as a writer has them")
    entry.is_checked = True
    return entry


@dataclass
class Fold:
    """The history up to line `seq`."""

    seq: int = 0
    names: dict[str, list[Entry]] = field(default_factory=dict)
    snapshots: dict[str, list[tuple[int, Op | None, Record]]] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    grown: dict[str, int] = field(default_factory=dict)  # the committed bytes of each payload that was appended to
    last: Record | None = None
    touched: list[str] | None = None  # names of which an index has not yet heard

    def apply(self, records: Iterable[Record]) -> None:
        """Take the next lines in."""
        names = self.names
        for record in records:
            seq = record["seq"]
            for op in record["ops"]:
                try:
                    if op["op"] != "put":
                        self._apply_other(op, record)
                        continue
                    entry = Entry(seq, seq, op, record)
                    name = op["name"]
                    history = names.get(name)
                    if history is None:
                        if type(name) is not str:
                            raise TypeError  # noqa: TRY301 hot path
                        names[name] = [entry]
                    else:
                        history.append(entry)
                except (TypeError, KeyError):
                    raise DamagedError(f"expected operations with op and name in line {seq} of the ledger") from None
            self.seq = seq
            self.last = record
            if self.touched is not None:
                self.touched += [op["name"] for op in record["ops"] if "name" in op]

    def _apply_other(self, op: Op, record: Record) -> None:
        what, name, seq = op["op"], op["name"], record["seq"]
        if type(name) is not str or (what == "snapshot" and type(op["at"]) is not int):
            raise TypeError
        if what in ("snapshot", "unsnapshot"):
            self.snapshots.setdefault(name, []).append((seq, op if what == "snapshot" else None, record))
        elif what == "drop":
            if not isinstance(op["files"], list):
                raise TypeError
            self.dropped.update(op["files"])
        elif what in ("extend", "note", ENDED):
            history = self.names.setdefault(name, [])
            entry = _next(history[-1] if history else None, op, record)
            if what == "extend" and entry.op is not None:
                checked(entry)
                self.grown[entry.op["file"]] = max(size_of(entry.op), self.grown.get(entry.op["file"], 0))
            history.append(entry)

    def entry(self, name: str, at: int | None = None) -> Entry | None:
        """Return what a name means at a line (None: the last), None where there is no item."""
        history = self.names.get(name)
        if not history:
            return None
        found = history[-1]
        if at is not None and found.seq > at:
            place = bisect_right(history, at, key=_seq_of)
            if not place:
                return None
            found = history[place - 1]
        return checked(found) if found.op is not None else None

    def history(self, name: str) -> list[Entry]:
        """Return all that a name has meant."""
        return [checked(entry) for entry in self.names.get(name, [])]

    def version(self, name: str, version: int, at: int | None = None) -> Entry | None:
        """Return a version of a name, with the newest note."""
        history = self.names.get(name, [])
        found = [
            entry for entry in history if entry.version == version and entry.op and (at is None or entry.seq <= at)
        ]
        return checked(found[-1]) if found else None

    def each(self, at: int | None = None) -> Iterator[tuple[str, Entry]]:
        """Yield the items of a line, in the order in which their names were first used."""
        for name in list(self.names):
            entry = self.entry(name, at)
            if entry is not None:
                yield name, entry

    def snapshot(self, name: str, at: int | None = None) -> tuple[int, Op, Record] | None:
        """Return a snapshot that exists at a line."""
        found = [row for row in self.snapshots.get(name, []) if at is None or row[0] <= at]
        seq, op, record = found[-1] if found else (0, None, {})
        return None if op is None else (seq, op, record)


def _seq_of(entry: Entry) -> int:
    return entry.seq


def _next(last: Entry | None, op: Op, record: Record) -> Entry:
    """Return the entry that an operation other than put makes of the one before it."""
    seq = record["seq"]
    if op["op"] == ENDED or last is None or last.op is None:
        return Entry(seq, seq, None, record)
    changed = {key: value for key, value in op.items() if key not in ("op", "name")}
    merged = {**last.op, **changed}
    if op["op"] == "extend":
        merged.pop("data", None)
        return Entry(seq, seq, merged, record, before=last)
    return Entry(seq, last.version, merged, last.record, before=last.before)
