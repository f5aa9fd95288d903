"""The overview of a folio, for people."""

from pathlib import Path
from typing import Any

from ...errors import DamagedError
from ..items import Item
from ..kinds.npy import dtype_of
from ..store import Store
from .types import (
    ARTIFACT,
    JSON,
    METADATA,
    MODEL,
    NUMPY,
    PYTORCH,
    REFERENCE,
    TABLE,
    inputs_of,
    known_items,
    type_of,
)  # fmt: skip

_SECTIONS = {
    "Tables": (REFERENCE, TABLE), "Numpy Arrays": (NUMPY,), "JSON Data": (JSON,), "Models": (MODEL,),
    "PyTorch Models": (PYTORCH,), "Artifacts": (ARTIFACT,),
}  # fmt: skip
_INTERNAL = ("_datafolio", "created_at", "updated_at")
_TEXT_CHARACTERS = 50


def describe(store: Store, *, show_empty: bool, max_metadata_fields: int) -> str:
    """Return a text about all items of a store, and about its metadata."""
    title = f"DataFolio: {_shown(store.path)}"
    lines = [title, "=" * len(title)]
    by_type: dict[str, list[str]] = {}
    for item in known_items(store):
        what, text = _shown_once(item)
        by_type.setdefault(what, []).append(text)
    for section, types in _SECTIONS.items():
        found = [text for what in types for text in by_type.get(what, ())]
        if found or show_empty:
            lines += ["", f"{section} ({len(found)}):", *(found or ["  (none)"])]
    metadata = store.get(METADATA) if METADATA in store else {}
    metadata = {key: value for key, value in metadata.items() if key not in _INTERNAL}
    if metadata or show_empty:
        lines += ["", f"Metadata ({len(metadata)}):", *(_metadata(metadata, max_metadata_fields) or ["  (none)"])]
    return "\n".join(lines)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _shown_once(item: Item) -> tuple[str, str]:
    """Return the type and the lines of an item, which never change."""
    kept = item.derived.get("overview")
    if kept is None:
        what = type_of(item)
        kept = item.derived["overview"] = what, "\n".join(_item(item, what))
    return kept


def _item(item: Item, what: str) -> list[str]:
    head = f"  • {item.name}{' (reference)' if what == REFERENCE else ''}" + (f": {item.note}" if item.note else "")
    details = _details(item, what)
    if item.inputs:
        details.append(f"inputs: {', '.join(inputs_of(item))}")
    return [head, *(f"    ↳ {detail}" for detail in details)]


def _details(item: Item, what: str) -> list[str]:
    about = item.about
    if what == REFERENCE:
        return [f"path: {item.uri}"]
    if what == TABLE:
        return [f"shape: {about.get('shape')}"]
    if what == JSON:
        return [f"type: {about.get('type')}"]
    if item.kind == "array":
        return [f"shape: {about.get('shape')}, dtype: {_dtype(about.get('dtype'))}"]
    if item.kind == "arrays":
        return [f"arrays: {', '.join(about)}"]
    if what in (MODEL, PYTORCH):
        return [f"class: {about.get('class')}", *_arguments(item)]
    return [f"size: {item.size_bytes:,} bytes"]


def _arguments(item: Item) -> list[str]:
    groups = {"init_args": item.about.get("init_args"), "hyperparameters": (item.meta or {}).get("hyperparameters")}
    return [
        f"{name}: {', '.join(f'{key}={value}' for key, value in group.items())}"
        for name, group in groups.items()
        if isinstance(group, dict) and group
    ]


def _dtype(descr: Any) -> str:
    try:
        return dtype_of(descr).name
    except DamagedError:
        return repr(descr)


def _metadata(metadata: dict[str, Any], most: int) -> list[str]:
    lines = [f"  • {key}: {_value(value)}" for key, value in list(metadata.items())[: max(most, 0)]]
    left = len(metadata) - len(lines)
    return [*lines, f"  ... and {left} more fields"] if left else lines


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value if len(value) <= _TEXT_CHARACTERS else f"{value[:_TEXT_CHARACTERS]}... (truncated)"
    text = str(value)
    if isinstance(value, dict | list | tuple | set):
        text = text if len(text) <= 2 * _TEXT_CHARACTERS else f"{text[: 2 * _TEXT_CHARACTERS]}..."
        return f"{text} ({type(value).__name__}, {len(value)} items)"
    return text
