"""List the logs in a folder and below it: how they are kept, how large they are, and what is left to do.

Example:
    axds log ls /data
"""

import argparse
from pathlib import Path
from typing import Any

from ..render import add_json, human_bytes, print_json, print_table
from ..terminal import print_line
from .session import Contents, find_logs, tell_passed_over

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
    rows = [row for contents in find_logs(arguments.directory) if (row := _row(contents))]
    if arguments.json:
        print_json(rows)
        return 0 if rows else 1
    if not rows:
        print_line(f"no log in {arguments.directory} or below it")
        return 1
    shown = [row | {"size": human_bytes(row["bytes"]), "to do": _TO_DO.get(row["state"], "")} for row in rows]
    print_table(
        shown,
        ("directory", "state", "sessions", "dropped", "sources", "archives", "journals", "files", "size", "to do"),
    )
    return 0


def _row(contents: Contents) -> dict[str, Any] | None:
    """Return what is known of a log; None where its folder may be listed only."""
    tell_passed_over(contents)
    try:
        size = contents.disk_bytes()
    except OSError as error:
        tell_passed_over(error)
        return None
    return {
        "directory": contents.directory,
        "state": contents.state,
        "sessions": _count_sessions(contents),
        "dropped": sum(contents.dropped().values()),
        "sources": len(contents.archives) or None,
        "archives": len(contents.archives),
        "journals": len(contents.journals),
        "files": len(contents.files),
        "bytes": size,
    }


def _count_sessions(contents: Contents) -> int | None:
    """Return how many sessions there are; None where a file of theirs may not be read."""
    try:
        return max(len(contents.groups()), len(contents.sessions()), 1)
    except OSError as error:
        tell_passed_over(error)
        return None
