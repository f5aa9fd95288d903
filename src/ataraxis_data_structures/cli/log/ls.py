"""List the logs in a folder and below it: how they are kept, what is known to be wrong, and what is left to do.

Example:
    axds log ls /data
"""

import argparse
from pathlib import Path
from typing import Any

from ..render import add_json, human_bytes, print_json, print_table
from ..terminal import print_line
from .session import find_logs
from .summary import next_command, summarize

_COLUMNS = ("directory", "state", "sessions", "dropped", "gaps", "failed jobs", "sources", "archives", "journals",
            "files", "size", "to do")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), help="where to look (default: here)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each log; status 1 if there is none."""
    rows = [row for contents in find_logs(arguments.directory) if (row := summarize(contents))]
    if arguments.json:
        print_json(rows)
        return 0 if rows else 1
    if not rows:
        print_line(f"no log in {arguments.directory} or below it")
        return 1
    print_table([row | _shown(row) for row in rows], _COLUMNS)
    return 0


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {"size": human_bytes(row["bytes"]), "failed jobs": row["failed_jobs"], "to do": next_command(row)}
