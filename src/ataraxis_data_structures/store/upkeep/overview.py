"""What a store holds and what it takes, for people."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..items import Item, item_of
from ..ledger.fold import Fold, size_of
from ..names import FOLDER, LEDGER, MIRROR, PAYLOADS, contained
from ..views import COPIED_BYTES, State, Views
from .gc import droppable, leftovers

_KIND_LINES = 40
_TOLD = ("shape", "dtype", "type", "columns", "class", "framework", "messages")


@dataclass(frozen=True)
class Status:
    """What a store takes; sizes in bytes.

    `history_bytes` is what versions hold that are not today's, `droppable_bytes` the part of it that
    `gc(history="snapshots")` would free, `leftover_bytes` what killed writers left, and `doubled_bytes` plain files
    that are large copies where links would do.
    """

    items: int
    versions: int
    snapshots: int
    transactions: int
    ledger_bytes: int
    payload_bytes: int
    history_bytes: int
    droppable_bytes: int
    leftovers: int
    leftover_bytes: int
    doubled_bytes: int


def status(root: Path, fold: Fold) -> Status:
    """Return what a store takes."""
    folder = root / FOLDER / PAYLOADS
    sizes = {
        op["file"]: _size(folder / contained(op["file"], "file"))
        for name in fold.names
        for entry in fold.history(name)
        if (op := entry.op) is not None and "file" in op and op["file"] not in fold.dropped
    }
    todays = {entry.op.get("file") for _, entry in fold.each() if entry.op}
    left = list(leftovers(root, fold))
    return Status(
        items=sum(1 for _ in fold.each()),
        versions=sum(len({entry.version for entry in history if entry.op}) for history in fold.names.values()),
        snapshots=sum(1 for name in fold.snapshots if fold.snapshot(name)),
        transactions=fold.seq,
        ledger_bytes=_size(root / FOLDER / LEDGER) + _size(root / FOLDER / MIRROR),
        payload_bytes=sum(sizes.values()),
        history_bytes=sum(size for file, size in sizes.items() if file not in todays),
        droppable_bytes=sum(sizes.get(file, 0) for file in droppable(fold)),
        leftovers=len(left),
        leftover_bytes=sum(file.size_bytes for file in left),
        doubled_bytes=sum(_doubled(root, fold)),
    )


def _doubled(root: Path, fold: Fold) -> Iterator[int]:
    views = Views(root)
    for _, entry in fold.each():
        op = entry.op or {}
        is_large = "file" in op and size_of(op) > COPIED_BYTES
        if is_large and not views.is_link(entry) and views.state(entry, fold) is State.OURS:
            yield size_of(op)


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def describe(root: Path, fold: Fold, names: list[str], at: int | None) -> str:
    """Return a text about items, grouped by kind."""
    items = [item_of(name, entry, root) for name in names if (entry := fold.entry(name, at)) is not None]
    lines = [f"Store: {root}", f"{len(items)} items, version {fold.seq if at is None else at}"]
    for kind in sorted({item.kind for item in items}):
        rows = [item for item in items if item.kind == kind]
        lines += ["", f"{kind} ({len(rows)}):"]
        for item in rows[:_KIND_LINES]:
            lines += describe_item(item)
        if len(rows) > _KIND_LINES:
            lines.append(f"  ... and {len(rows) - _KIND_LINES} more")
    return "\n".join(lines)


def describe_item(item: Item) -> list[str]:
    """Return lines about one item."""
    lines = [f"  {item.name}@{item.version}" + (f": {item.note}" if item.note else "")]
    details: dict[str, Any] = {key: item.about[key] for key in _TOLD if key in item.about}
    details |= {"size": f"{item.size_bytes:,} bytes"} if item.file else {"uri": item.uri}
    if item.inputs:
        details["inputs"] = ", ".join(item.inputs)
    if item.meta:
        details["meta"] = ", ".join(f"{key}={value!r}" for key, value in item.meta.items())
    return [*lines, "    " + "; ".join(f"{key}: {value}" for key, value in details.items())]
