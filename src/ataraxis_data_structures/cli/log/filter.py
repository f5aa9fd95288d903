"""Write new archives of a time range or of chosen sources; the log stays as it is.

Example:
    axds log filter /data/rig_data_log --source camera --from 60 -o /data/end
"""

import argparse
from pathlib import Path

from ...logs.assembly.rewrite import filter_archive
from ..render import add_json, print_json
from ..terminal import print_line
from .inspection.archives import add_output, chosen_archives, first_onset_us
from .inspection.options import add_choice, time_range_us


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    add_choice(parser)
    add_output(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the archives; status 1 if no message is in the range."""
    readers = chosen_archives(arguments.directory, arguments.source)
    first, last = time_range_us(arguments, first_onset_us(readers))
    rows = [
        {"source": name, "messages": kept, "of": len(reader), "archive": arguments.output / reader.archive_path.name}
        for name, reader in readers.items()
        for kept in [filter_archive(reader.archive_path, arguments.output, first, last)]
    ]
    if arguments.json:
        print_json(rows)
    else:
        for row in rows:
            print_line(f"{row['archive']}: {row['messages']:,} of {row['of']:,} messages of {row['source']}")
    return 0 if any(row["messages"] for row in rows) else 1
