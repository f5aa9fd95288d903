"""Make one log of several: an archive for each source, in the order of time.

Sources are the same if their numbers are; the earliest onset becomes that of
all. The logs stay as they are.

Example:
    axds log merge /data/rig_data_log /data/rig_2_data_log -o /data/day
"""

import argparse
from pathlib import Path

from ...logs.assembly.rewrite import merge_into
from ..render import add_json, print_json
from ..terminal import print_line
from .inspection.archives import add_output, chosen_archives


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "directories", type=Path, nargs="+", metavar="directory", help="directories or archives of logs"
    )
    add_output(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the archives."""
    by_name: dict[str, list[Path]] = {}
    for directory in arguments.directories:
        for reader in chosen_archives(directory, []).values():
            by_name.setdefault(reader.archive_path.name, []).append(reader.archive_path)
    rows = [
        {"archive": arguments.output / name, "messages": merge_into(paths, arguments.output), "from": paths}
        for name, paths in by_name.items()
    ]
    if arguments.json:
        print_json(rows)
        return 0
    for row in rows:
        print_line(f"{row['archive']}: {row['messages']:,} messages of {len(row['from'])} archives")
    return 0
