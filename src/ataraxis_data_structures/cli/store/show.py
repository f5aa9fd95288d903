"""Show what is known of an item: its versions, what it was made from and what was made from it.

Example:
    axds store show /data/experiment embeddings
    axds store show /data/experiment embeddings@12
"""

import argparse
from typing import Any

from ..render import add_json, human_time, print_json
from ..stores import add_at, add_store, document_of, for_reading
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("name", help="the item, or NAME@VERSION")
    add_at(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the item."""
    store = for_reading(arguments.store, arguments.at)
    item = store.info(arguments.name)
    further: dict[str, list[Any]] = {
        "versions": store.versions(item.name),
        "lineage": store.lineage(arguments.name),
        "dependents": store.dependents(item.name),
    }
    if arguments.json:
        print_json(document_of(item) | further)
        return 0
    rows: dict[str, object] = {
        "name": f"{item.name}@{item.version}",
        "kind": item.kind,
        "note": item.note,
        "made": f"{human_time(item.created_us)} by {item.by}",
        "bytes": f"{item.size_bytes:,}" if item.file else "",
        "hash": item.hash,
        "about": ", ".join(f"{key} {value}" for key, value in item.about.items()),
        "meta": ", ".join(f"{key}={value!r}" for key, value in (item.meta or {}).items()),
        "file": item.path or "",
        "uri": item.uri or "",
        **{key: ", ".join(str(part) for part in value) for key, value in further.items()},
    }
    for key, value in rows.items():
        if value != "":
            print_line(f"{key:<10} {value}")
    return 0
