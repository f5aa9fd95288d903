"""A store that a command names, and what its commands print of items."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..store.items import Item
from ..store.store import Store
from .places import local_folder
from .render import human_time


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the store."""
    parser.add_argument("store", type=local_folder, metavar="STORE", help="the folder of the store")


def add_at(parser: argparse.ArgumentParser) -> None:
    """Add the state that is looked at."""
    parser.add_argument("--at", type=state, metavar="STATE", help="a snapshot or the number of a transaction")


def state(text: str) -> str | int:
    """Return a snapshot's name, or the number of a transaction."""
    return int(text) if text.isascii() and text.isdigit() else text


def for_reading(folder: Path, at: str | int | None = None) -> Store:
    """Open a store that is not changed, now or as it was."""
    store = Store(folder, create=False, read_only=True)
    return store if at is None else store.at(at)


def for_writing(folder: Path) -> Store:
    """Open a store that there is."""
    return Store(folder, create=False)


def row_of(item: Item) -> dict[str, Any]:
    """Return an item as a row of a table."""
    return {
        "name": item.name,
        "version": item.version,
        "kind": item.kind,
        "bytes": item.size_bytes,
        "made": human_time(item.created_us),
        "note": item.note or None,
    }


def document_of(item: Item) -> dict[str, Any]:
    """Return an item for JSON."""
    return {key: repr(value) if key == "meta" and value else value for key, value in asdict(item).items()}
