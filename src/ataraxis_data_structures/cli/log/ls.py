"""List the logs in a folder and below it: how they are kept, how large they are, and what is left to do.

Example:
    axds log ls /data
"""

import argparse
from pathlib import Path
from typing import Any

from ...logs.log_directory import read_pointer
from ...system.process import is_alive
from ..render import add_json, human_bytes, print_json, print_table
from ..terminal import print_line
from .session import Contents, find_logs

_TO_DO = {
    "interrupted": "axds log recover",
    "not assembled": "axds log assemble",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), help="where to look (default: here)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each log; status 1 if there is none."""
    rows = [_row(contents) for contents in find_logs(arguments.directory)]
    if arguments.json:
        print_json(rows)
        return 0 if rows else 1
    if not rows:
        print_line(f"no log in {arguments.directory} or below it")
        return 1
    shown = [row | {"size": human_bytes(row["bytes"]), "to do": _TO_DO.get(row["state"], "")} for row in rows]
    print_table(shown, ("directory", "state", "sources", "archives", "journals", "files", "size", "to do"))
    return 0


def _row(contents: Contents) -> dict[str, Any]:
    return {
        "directory": contents.directory,
        "state": state_of(contents),
        "sources": len(contents.archives) or None,
        "archives": len(contents.archives),
        "journals": len(contents.journals),
        "files": len(contents.files),
        "bytes": contents.disk_bytes(),
    }


def state_of(contents: Contents) -> str:
    """Return recording, interrupted, not assembled or assembled."""
    note = read_pointer(contents.directory)
    if note and any(is_alive(note.get(who, 0)) for who in ("logger", "owner")):
        return "recording"
    if note:
        return "interrupted"
    return "assembled" if contents.assembled else "not assembled"
