"""Take over a folder that datafolio 1.x or 2.x wrote into a new store: items, lineage, and snapshots that are whole.

The folder is only read. Models are pickles: without --trust their files are kept as they are, and nothing of them runs.

Example:
    axds store import-folio experiments/old /data/experiment
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from ....store.imports.datafolio import import_folio
from ...places import local_folder
from ...render import add_json, print_json
from ...terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("source", type=Path, metavar="FOLDER", help="the folder that datafolio wrote")
    parser.add_argument("store", type=local_folder, metavar="STORE", help="the folder of the new store")
    parser.add_argument("--trust", action="store_true", help="load its models, which runs code of their writers")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was taken over; status 1 if something was not."""
    report = import_folio(arguments.source, arguments.store, trust=arguments.trust)
    if arguments.json:
        print_json(asdict(report))
        return 1 if report.left else 0
    print_line(f"{len(report.items)} items and {len(report.snapshots)} snapshots in {arguments.store}")
    for former, new in report.renamed.items():
        print_line(f"renamed   {former} to {new}")
    for name in report.as_files:
        print_line(f"as a file {name}: a pickled model, loaded with --trust")
    for name, reason in report.left.items():
        print_line(f"left      {name if reason.startswith(name) else f'{name}: {reason}'}")
    return 1 if report.left else 0
