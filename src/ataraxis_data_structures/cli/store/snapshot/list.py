"""List the snapshots of a store, oldest first.

Example:
    axds store snapshot list /data/experiment
"""

import argparse
from dataclasses import asdict

from ...render import add_json, human_time, print_json, print_table
from ...stores import add_store, for_reading
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each snapshot."""
    found = for_reading(arguments.store).snapshots()
    if arguments.json:
        print_json([asdict(snapshot) for snapshot in found])
        return 0
    rows = [
        {
            "name": row.name,
            "at": row.at,
            "made": human_time(row.created_us),
            "tags": " ".join(row.tags) or None,
            "note": row.note or None,
        }
        for row in found
    ]
    if rows:
        print_table(rows, ("name", "at", "made", "tags", "note"))
    else:
        print_line("no snapshots")
    return 0
