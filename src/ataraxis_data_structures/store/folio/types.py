"""What an item is called in a folio, by its kind in the store."""

from datetime import UTC, datetime
from typing import Any

from ..items import Item, Snapshot
from ..kinds import Kind
from ..kinds.model import TORCH, framework_of
from ..store import Store

METADATA = "_metadata"  # the item that holds what is known of the folio as a whole
METADATA_FILE = "metadata.json"

REFERENCE, TABLE, NUMPY, JSON = "referenced_table", "included_table", "numpy_array", "json_data"
MODEL, PYTORCH, ARTIFACT = "model", "pytorch_model", "artifact"
SECTIONS = {
    REFERENCE: "referenced_tables", TABLE: "included_tables", NUMPY: "numpy_arrays", JSON: "json_data",
    MODEL: "models", PYTORCH: "pytorch_models", ARTIFACT: "artifacts",
}  # fmt: skip
_TYPES = {"reference": REFERENCE, "table": TABLE, "array": NUMPY, "arrays": NUMPY, "json": JSON}
_FOLDERS = {
    "table": "tables", "array": "numpy", "arrays": "numpy", "json": "json", "model": "models", "file": "artifacts",
}  # fmt: skip
_TORCH_FOLDER = "pytorch_models"


def view_of(name: str, kind: Kind, value: Any) -> str:
    """Return the plain file of an item."""
    is_torch = kind.name == "model" and framework_of(value) == TORCH
    return f"{_TORCH_FOLDER if is_torch else _FOLDERS[kind.name]}/{name}{kind.extension(value)}"


def type_of(item: Item) -> str:
    """Return what a folio calls an item."""
    if item.kind == "model":
        return PYTORCH if item.about.get("framework") == TORCH else MODEL
    return _TYPES.get(item.kind, ARTIFACT)


def inputs_of(item: Item) -> list[str]:
    """Return the names of what an item was made from, without their versions."""
    return [text.partition("@")[0] for text in item.inputs]


def known_items(store: Store) -> list[Item]:
    """Return the items of one moment, by name."""
    return [item for item in store.items() if item.name != METADATA]


def told(item: Item) -> dict[str, Any]:
    """Return all that is known of an item as a dictionary."""
    return {
        "name": item.name,
        "type": type_of(item),
        "description": item.note,
        "inputs": list(item.inputs),
        "version": item.version,
        "created_us": item.created_us,
        "created_by": item.by,
        "size_bytes": item.size_bytes,
        "hash": item.hash,
        "path": item.uri or str(item.path),
        **{key: value for key, value in item.about.items() if key not in ("mark", "seal", "offset", "type")},
        **(item.meta or {}),
    }


def told_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """Return all that is known of a snapshot as a dictionary."""
    return {
        "name": snapshot.name,
        "description": snapshot.note,
        "tags": list(snapshot.tags),
        "timestamp": datetime.fromtimestamp(snapshot.created_us / 1e6, UTC).isoformat(),
        "at": snapshot.at,
    }
