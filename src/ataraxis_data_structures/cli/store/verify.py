"""Check the ledger, the mirror, every payload of every version and every plain file; status 1 if one is damaged.

Old versions that are not here, as in a clone by git, are told and are no failure.

Example:
    axds store verify /data/experiment
    axds store verify /data/experiment --quick
"""

import argparse
from dataclasses import asdict

from ..render import add_json, print_json
from ..stores import add_store, for_reading
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument("--quick", action="store_true", help="compare sizes only, and read no payload")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each fault."""
    faults = for_reading(arguments.store).verify(deep=not arguments.quick)
    is_whole = all(fault.what == "absent" for fault in faults)
    if arguments.json:
        print_json({"ok": is_whole, "faults": [asdict(fault) for fault in faults]})
        return 0 if is_whole else 1
    for fault in faults:
        print_line(f"{fault.what:<8} {fault.message}")
    if not faults:
        print_line("all as it was committed")
    return 0 if is_whole else 1
