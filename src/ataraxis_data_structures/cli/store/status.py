"""Say what a store takes: today's items, history, what killed writers left, and what a gc would free.

Example:
    axds store status /data/experiment
"""

import argparse
from dataclasses import asdict

from ..render import add_json, human_bytes, print_json
from ..stores import add_store, for_reading
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the figures."""
    found = for_reading(arguments.store).status()
    if arguments.json:
        print_json(asdict(found))
        return 0
    print_line(
        f"{found.items:,} items, {found.versions:,} versions, {found.snapshots:,} snapshots, "
        f"{found.transactions:,} transactions"
    )
    print_line(f"payloads {human_bytes(found.payload_bytes)}, ledger and mirror {human_bytes(found.ledger_bytes)}")
    print_line(
        f"history {human_bytes(found.history_bytes)}, of which `axds store gc --history snapshots` would free "
        f"{human_bytes(found.droppable_bytes)}"
    )
    print_line(
        f"{found.leftovers:,} files of no version: {human_bytes(found.leftover_bytes)}; `axds store gc` frees them"
    )
    if found.doubled_bytes:
        print_line(f"plain files that are copies: {human_bytes(found.doubled_bytes)}; `axds store repair` links them")
    return 0
