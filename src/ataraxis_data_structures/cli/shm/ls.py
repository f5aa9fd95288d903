"""List the shared memory of this library: arrays, queues, lanes, and who holds them.

A segment that is not in use belongs to processes that are gone; `axds shm rm --stale` removes those.

Example:
    axds shm ls
"""

import argparse

from ...memory import segment
from ..render import add_json, human_bytes, print_json, print_table
from ..terminal import print_line
from .listing import segment_row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every segment."""
    rows = [row for name in segment.list_segments() if (row := segment_row(name)) is not None]
    if arguments.json:
        print_json(rows)
        return 0
    if not rows:
        print_line("no shared memory of this library is there")
        return 0
    print_table(
        [row | {"memory": human_bytes(row["memory"])} for row in rows],
        ("name", "kind", "memory", "in_use", "creator", "creator_alive"),
    )
    stale = sum(not row["in_use"] for row in rows)
    print_line(f"{len(rows)} segments, {human_bytes(sum(row['memory'] for row in rows))} of memory, {stale} not in use")
    return 0
