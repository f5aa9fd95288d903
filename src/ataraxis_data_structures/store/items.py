"""What a reader is told about an item, and about a snapshot."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import errors
from .jsontags import decode
from .ledger.fold import Entry, Op, size_of
from .ledger.lines import Record
from .notebook import record_html


@dataclass(frozen=True)
class Item:
    """A version of an item; `path` is its plain file, `file` its payload below `.axds/payloads`."""

    name: str
    version: int
    kind: str
    note: str = ""
    inputs: tuple[str, ...] = ()
    meta: dict[str, Any] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    hash: str = ""
    created_us: int = 0
    by: str = ""
    path: Path | None = None
    file: str | None = None
    uri: str | None = None
    etag: str | None = None  # of what a reference leads to
    sha256: str | None = None

    @cached_property
    def derived(self) -> dict[str, Any]:
        """Return a place for what is computed from an item once, as its lines in an overview."""
        return {}

    def _repr_html_(self) -> str:
        return record_html(self)


@dataclass(frozen=True)
class Snapshot:
    """A name for a line of the ledger."""

    name: str
    at: int
    note: str = ""
    tags: tuple[str, ...] = ()
    created_us: int = 0
    by: str = ""

    def _repr_html_(self) -> str:
        return record_html(self)


def item_of(name: str, entry: Entry, root: Path) -> Item:
    """Return what the ledger says of an item.

    Raises:
        DamagedError: It says what no writer wrote.
    """
    op = entry.op or {}
    try:
        meta = op.get("meta")
        return Item(
            name=name,
            version=entry.version,
            kind=_text(op["kind"]),
            note=_text(op.get("note", "")),
            inputs=tuple(map(_text, op.get("inputs", ()))),
            meta=None if meta is None else _mapping(decode(meta)),
            about=dict(op.get("about", {})),
            size_bytes=size_of(op) if "bytes" in op else 0,
            hash=_text(op.get("hash", "")),
            created_us=int(entry.record.get("t", 0)),
            by=str(entry.record.get("by", "")),
            path=root / _text(op["view"]) if "view" in op else None,
            file=_text(op["file"]) if "file" in op else None,
            uri=_text(op["uri"]) if "uri" in op else None,
            etag=_text(op["etag"]) if "etag" in op else None,
            sha256=_text(op["sha256"]) if "sha256" in op else None,
        )
    except (TypeError, ValueError, KeyError) as error:
        raise errors.DamagedError(
            f"expected a record of item {name!r} in the ledger, got a damaged one: {error}"
        ) from None


def snapshot_of(name: str, op: Op, record: Record) -> Snapshot:
    """Return what the ledger says of a snapshot."""
    try:
        return Snapshot(
            name, _number(op["at"]), _text(op.get("note", "")), tuple(map(_text, op.get("tags", ()))),
            int(record.get("t", 0)), str(record.get("by", "")),
        )  # fmt: skip
    except (TypeError, ValueError, KeyError) as error:
        raise errors.DamagedError(f"expected a record of snapshot {name!r}, got a damaged one: {error}") from None


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no dictionary")
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no number")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r} is no text")
    return value
