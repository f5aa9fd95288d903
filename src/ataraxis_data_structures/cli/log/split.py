"""Give each session of a log that holds several a directory of its own: NAME_2_data_log, NAME_3_data_log, ...

Sessions are told apart by their onsets; the first keeps the directory. Assembly does the same by itself.

Example:
    axds log split /data/session_01/rig_data_log
"""

import argparse
from pathlib import Path

from ...logs.assembly.split import split_sessions
from ...logs.log_directory import LogDirectory
from ...logs.recovery.recover import finish_log_directory
from ..render import add_json, print_json
from ..terminal import print_line
from .session import look_into, require_log, tell_passed_over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Split and print the directories."""
    if not arguments.directory.is_dir():
        require_log(arguments.directory)
    with LogDirectory(arguments.directory, "recovery") as directory:
        finish_log_directory(directory)
        tell_passed_over(require_log(arguments.directory))
        made = split_sessions(arguments.directory)
    if arguments.json:
        print_json({"directory": arguments.directory, "further": made})
        return 0
    if not made:
        print_line("one session: nothing to split")
    for further in made:
        contents = look_into(further)
        print_line(f"{further}: {len(contents.journals)} journals and {len(contents.files):,} files of a later session")
    return 0
