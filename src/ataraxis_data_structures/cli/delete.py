"""Delete a folder with all it holds; links are removed, never followed.

Refused are `.` and `..`, the root and the home folder or what holds it, and a folder on or beneath which another file
system is mounted.

Example:
    axds delete /data/session_01 --yes
"""

import argparse
import sys
from pathlib import Path

from ..files.delete import delete_directory
from ..files.places import refuse_removal
from .places import removable_folder
from .render import add_json, print_json
from .terminal import escaped, print_error, print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=removable_folder)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Delete the folder after a question."""
    directory = arguments.directory
    if not directory.is_symlink() and not directory.exists():
        raise FileNotFoundError(2, "No such file or directory", str(directory))
    refuse_removal(directory)
    if not arguments.yes and not _confirmed(directory):
        return 1
    delete_directory(directory)
    gone = not directory.is_symlink() and not directory.exists()
    if arguments.json:
        print_json({"directory": directory, "deleted": gone})
    elif gone:
        print_line(f"deleted {directory}")
    return 0 if gone else 1


def _confirmed(directory: Path) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        print_error("nothing was deleted: add --yes where nobody can be asked")
        return False
    sys.stderr.write(f"delete {escaped(directory)} with all it holds? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    print_error("nothing was deleted")
    return False
