"""List logs: how they are kept, what is known to be wrong, what is left to do.

They are those in a folder and below it. --running lists the loggers that write
now on this machine instead, those below DIRECTORY or all.

Example:
    axds log ls /data
"""

import argparse
from pathlib import Path
from typing import Any

from ...logs.logger.statistics import LoggerStatistics, running_loggers, statistics_of
from ...logs.names import LOG_DIRECTORY_SUFFIX
from ..render import add_json, human_bytes, human_seconds, print_json, print_table
from ..terminal import print_line
from .inspection.summary import next_command, summarize
from .session import find_logs

_COLUMNS = ("directory", "state", "sessions", "dropped", "gaps", "failed jobs", "sources", "archives", "journals",
            "files", "size", "to do")  # fmt: skip
_RUNNING = ("name", "state", "process", "sources", "messages", "written", "dropped", "lag", "directory")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, nargs="?", help="where to look (default: here)")
    parser.add_argument("--running", action="store_true", help="loggers that write now, and what they have written")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each log; status 1 if there is none."""
    if arguments.running:
        return _list_running(arguments)
    directory = arguments.directory or Path()
    rows = [row for contents in find_logs(directory) if (row := summarize(contents))]
    if arguments.json:
        print_json(rows)
        return 0 if rows else 1
    if not rows:
        print_line(f"no log in {directory} or below it")
        return 1
    print_table([row | _shown(row) for row in rows], _COLUMNS)
    return 0


def _list_running(arguments: argparse.Namespace) -> int:
    below = None if arguments.directory is None else arguments.directory.resolve(strict=True)
    rows = [
        _running_row(directory, statistics_of(queue))
        for directory, queue in running_loggers().items()
        if below is None or directory.is_relative_to(below)
    ]
    if arguments.json:
        print_json(rows)
    elif rows:
        print_table([row | {"lag": human_seconds(row["lag_s"]) if row["lag_s"] else "none"} for row in rows], _RUNNING)
    else:
        print_line("no logger of yours runs here")
    return 0 if rows else 1


def _running_row(directory: Path, now: LoggerStatistics) -> dict[str, Any]:
    return {
        "name": directory.name.removesuffix(LOG_DIRECTORY_SUFFIX),
        "state": now.state,
        "process": now.pid,
        "sources": len(now.sources),
        "messages": sum(source.accepted for source in now.sources.values()),
        "written": sum(source.written for source in now.sources.values()),
        "dropped": sum(source.dropped for source in now.sources.values()),
        "lag_s": now.lag_s,
        "directory": directory,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {"size": human_bytes(row["bytes"]), "failed jobs": row["failed_jobs"], "to do": next_command(row)}
