"""Bring back what is damaged: lines from the mirror, payloads from their lines, plain files; status 1 if some is left.

Example:
    axds store repair /data/experiment
"""

import argparse
from dataclasses import asdict

from ..render import add_json, print_json
from ..stores import add_store, for_writing
from ..terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_store(parser)
    parser.add_argument(
        "--from-mirror", action="store_true", help="take lines that the mirror has beyond an undamaged ledger"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was done and what is left."""
    report = for_writing(arguments.store).repair(from_mirror=arguments.from_mirror)
    if arguments.json:
        print_json(asdict(report))
        return 1 if report.left else 0
    print_line(
        f"{report.lines} lines, {len(report.payloads)} payloads and {len(report.views)} plain files brought back"
    )
    for path in report.kept:
        print_line(f"kept      {path}")
    for fault in report.left:
        print_line(f"left      {fault.what}: {fault.message}")
    return 1 if report.left else 0
