"""Complete a log whose recording was killed: from shared memory and unfinished journals; status 1 if something is lost.

Example:
    axds log recover /data/session_01/rig_data_log
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from ...logs.recovery.lanes import dead_queues
from ...logs.recovery.recover import recover_log_directory
from ..advice import require_directory
from ..render import add_json, print_json
from ..terminal import print_error, print_line
from .session import find_logs, look_into, tell_passed_over

_MOST = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory")
    parser.add_argument("--patience", type=float, default=60.0, metavar="S",
                        help="how long to wait for a logger process that still writes (default 60)")  # fmt: skip
    parser.add_argument("--force", action="store_true",
                        help="take processes of other containers, which can't be asked for, as dead")  # fmt: skip
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Recover and print what was found."""
    require_directory(arguments.directory)
    contents = look_into(arguments.directory)
    if not (contents.is_log or dead_queues(arguments.directory.resolve())):
        return _complain(arguments.directory)
    tell_passed_over(contents)
    found = recover_log_directory(arguments.directory, patience_s=arguments.patience, force=arguments.force)
    if arguments.json:
        print_json(asdict(found) | {"whole": found.whole})
        return 0 if found.whole else 1
    kinds = {
        "from shared memory": sum(found.salvaged.values()),
        "given their file": found.expanded,
        "whole in journals": sum(found.recovered.values()),
        "out of archives that were cut": sum(found.rescued.values()),
        "archives that were cut": len(found.cut_archives),
        "lost": sum(found.lost.values()),
        "dropped while recording": sum(found.dropped.values()),
        "records missing": found.missing,
        "damaged bytes": found.damaged_bytes,
        "queues gone from shared memory": len(found.missing_queues),
    }
    for kind, count in kinds.items():
        if count:
            print_line(f"{count:>12,} {kind}")
    print_line("nothing is known to be lost" if found.whole else "something is lost: `axds log verify` tells more")
    return 0 if found.whole else 1


def _complain(directory: Path) -> int:
    """Say that nothing of a log is here, and where there is."""
    below = [contents.directory for contents in find_logs(directory) if contents.directory != directory]
    hint = f"; the logs below it: {', '.join(map(str, below[:_MOST]))}" if below else ""
    print_error(
        f"{directory}: expected the directory of a log (NAME_data_log), got one without anything of a log{hint}"
    )
    return 1
