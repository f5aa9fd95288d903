"""Remove shared memory that no process uses any more.

Without --force a segment that is in use stays. A queue and its lanes may hold messages that are not on
disk yet: `axds log recover DIRECTORY` writes them; --force throws them away.

Example:
    axds shm rm --stale
"""

import argparse
import os
from pathlib import Path

from ...memory import segment
from ...memory.segment import Kind, Segment
from ...memory.sweep import sweep
from ...system import platform
from ..render import add_json, print_json
from ..terminal import print_error, print_line
from .listing import segment_row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("names", nargs="*", default=[], metavar="NAME", help="segments to remove")
    what.add_argument("--stale", action="store_true", help="remove every segment of yours that nobody uses")
    parser.add_argument("--force", action="store_true", help="also remove what is in use or holds messages")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Remove what was named, or all that is stale."""
    removed = sweep() if arguments.stale else []
    kept = [] if arguments.stale else _remove(arguments.names, removed, force=arguments.force)
    if arguments.json:
        print_json({"removed": removed, "kept": kept})
        return 1 if kept else 0
    for name in removed:
        print_line(f"removed {name}")
    if arguments.stale and not removed:
        print_line("nothing is stale")
    for refusal in kept:
        print_error(f"{refusal['name']}: {refusal['reason']}")
    return 1 if kept else 0


def _remove(names: list[str], removed: list[str], *, force: bool) -> list[dict[str, str]]:
    kept = []
    for name in names:
        reason = _refusal(name, force=force)
        if reason:
            kept.append({"name": name, "reason": reason})
            continue
        try:
            Segment.attach(name).unlink()
        except FileNotFoundError:
            continue  # it went by itself meanwhile
        removed.append(name)
    return kept


def _refusal(name: str, *, force: bool) -> str | None:
    segment.check_name(name)
    row = segment_row(name)
    if row is None:
        return _foreign(platform.FOLDER / name)
    if force:
        return None
    if row["in_use"]:
        return "in use; end the processes that map it (`axds shm show` names them), or use --force"
    if row["kind"] in (Kind.QUEUE.name.lower(), Kind.LANE.name.lower()):
        return "part of a queue that may hold messages; `axds log recover DIRECTORY` saves them, --force drops them"
    return None


def _foreign(path: Path) -> str:
    """Say why what has this name is no segment that can be removed."""
    if not path.exists():
        return "no such segment; `axds shm ls` lists them"
    if not os.access(path, os.R_OK | os.W_OK):
        return "Permission denied; ask its owner to remove it, or run as that user"
    return "not a segment of this library, left alone"
