"""List the data sets of a store: what is here, how large, and where it is from.

Example:
    axds data list
    axds data list /srv/data --json
"""

import argparse
from pathlib import Path
from typing import Any

from ..render import add_json, print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("root", nargs="?", type=Path, help="the data store (default: $AXDS_DATA, else data)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each item."""
    from ...datasets.registry import list_items  # noqa: PLC0415 not for --help

    rows = [_row(item) for item in list_items(arguments.root)]
    if arguments.json:
        print_json(rows)
    else:
        print_table(rows, ("name", "version", "kind", "bytes", "source"))
    return 0


def _row(item: Any) -> dict[str, Any]:
    meta = item.meta or {}
    return {
        "name": item.name,
        "version": item.version,
        "kind": item.kind,
        "bytes": item.size_bytes,
        "source": meta.get("url") or item.uri or meta.get("source") or "",
        "license": meta.get("license", ""),
        "sha256": meta.get("sha256"),
        "path": item.path,
    }
