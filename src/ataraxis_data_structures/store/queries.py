"""Questions to a fold that concern more than one entry."""

import json
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from .grown import hash_of_version
from .items import Item, item_of
from .ledger.commit import Change
from .ledger.fold import ENDED, Entry, Fold, Op
from .payloads import payload_path

_OF_A_PUT = (
    "name",
    "kind",
    "about",
    "bytes",
    "hash",
    "file",
    "view",
    "note",
    "inputs",
    "meta",
    "sha256",
    "etag",
    "data",
    "uri",
)

_NAME = attrgetter("name")


def items(fold: Fold, at: int | None, root: Path) -> list[Item]:
    """Return the items of a line by name, each made once for as long as the fold lives."""
    found = []
    for name, entry in fold.each(at):
        if entry.item is None:
            entry.item = item_of(name, entry, root)
        found.append(entry.item)
    return sorted(found, key=_NAME)


def versions(fold: Fold, name: str, at: int | None) -> list[int]:
    """Return the versions that a name has had up to a line."""
    found = (entry.version for entry in fold.names.get(name, []) if entry.op and (at is None or entry.seq <= at))
    return list(dict.fromkeys(found))


def inputs_of(entry: Entry) -> list[str]:
    """Return the inputs of a version, as far as they are text."""
    inputs = (entry.op or {}).get("inputs", [])
    return [text for text in inputs if isinstance(text, str)] if isinstance(inputs, list) else []


def lineage(fold: Fold, entry: Entry, at: int | None) -> list[str]:
    """Return inputs, their inputs, and so on, each once."""
    found: dict[str, None] = {}
    level = inputs_of(entry)
    while level:
        new = [text for text in level if text not in found]
        found.update(dict.fromkeys(new))
        level = [further for text in new for further in _inputs_of_text(fold, text, at)]
    return list(found)


def _inputs_of_text(fold: Fold, text: str, at: int | None) -> list[str]:
    name, sign, version = text.partition("@")
    if sign and not (version.isascii() and version.isdigit()):
        return []
    entry = fold.version(name, int(version), at) if sign else fold.entry(name, at)
    return inputs_of(entry) if entry else []


def dependents(fold: Fold, name: str, at: int | None) -> list[str]:
    """Return the names of items that were made from an item."""
    return sorted(
        user
        for user, entry in fold.each(at)
        if "inputs" in (entry.op or {}) and any(text.partition("@")[0] == name for text in inputs_of(entry))
    )


@dataclass(frozen=True)
class Difference:
    """Names whose values two states do not share."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff(fold: Fold, first: int, second: int) -> Difference:
    """Return what changed from one line to another."""
    old, new = dict(fold.each(first)), dict(fold.each(second))
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in old.keys() & new.keys() if _value_of(old[name]) != _value_of(new[name]))),
    )


def _value_of(entry: Entry) -> tuple[Any, ...]:
    op = entry.op or {}
    return (
        *(op.get(key) for key in ("kind", "about", "bytes", "hash", "uri")),
        entry.before and _value_of(entry.before),
    )


def search(fold: Fold, text: str, at: int | None) -> list[str]:
    """Return the names of items with a text in their name, note, inputs or meta, whatever its case."""
    wanted = text.casefold()
    return sorted(name for name, entry in fold.each(at) if wanted in _text_of(name, entry).casefold())


def _text_of(name: str, entry: Entry) -> str:
    op = entry.op or {}
    told = [op.get(key) for key in ("note", "inputs", "uri")]
    meta = json.dumps(op["meta"], ensure_ascii=False) if "meta" in op else ""
    return "\n".join([name, meta, *map(str, (part for part in told if part))])


def changes_back_to(fold: Fold, line: int, root: Path) -> list[Change]:
    """Return the changes that make the items what they were at a line."""
    changes = []
    for name in list(fold.names):
        then, now = fold.entry(name, line), fold.entry(name)
        if then is None and now is not None:
            changes.append(Change({"op": ENDED, "name": name}))
        elif then is not None and (now is None or then.op != now.op):
            changes.append(Change(_put_again(then, fold, root), is_restored=True))
    return changes


def _put_again(entry: Entry, fold: Fold, root: Path) -> Op:
    """Return the operation that makes an old version today's."""
    old = entry.op or {}
    op: Op = {key: old[key] for key in _OF_A_PUT if key in old} | {"op": "put"}
    if old.get("file") in fold.grown:
        op["bytes"], op["hash"] = hash_of_version(payload_path(root, old["file"]), entry)
    return op
