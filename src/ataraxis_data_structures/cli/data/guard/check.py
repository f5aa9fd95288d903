"""Say which staged files are not for a repository: data, models, caches, outputs, large files; status 1 if there are.

Looks at what git would commit, not at the work tree. With file names it judges these files as they are in the index;
--all judges the whole index, as CI does; --history every blob that a branch, tag or stash leads to. What is kept by Git
LFS passes: git holds its pointer.

Example:
    axds data guard check
    axds data guard check --all
"""

import argparse
from pathlib import Path

from ....datasets import guard
from ...render import add_json, human_bytes, print_json
from ...terminal import print_error, print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("files", nargs="*", help="judge these files of the index (default: what is staged)")
    parser.add_argument("--repository", type=Path, default=Path(), metavar="DIR", help="a folder of it (default: here)")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--all", action="store_true", help="judge the whole index")
    scope.add_argument("--history", action="store_true", help="judge every blob of the history")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each file that must not be committed."""
    found = _find(arguments)
    if arguments.json:
        print_json({"ok": not found, "findings": [finding._asdict() for finding in found]})
        return 1 if found else 0
    for finding in found:
        print_line(f"{finding.path}: {finding.rule} ({human_bytes(finding.bytes)})")
    if found and not (arguments.all or arguments.history):
        print_error("data files stay out of git; unstage them with `git restore --staged FILE`")
    return 1 if found else 0


def _find(arguments: argparse.Namespace) -> list[guard.Finding]:
    if arguments.history:
        return guard.check_history(arguments.repository)
    if arguments.all or arguments.files:
        return guard.check_index(arguments.repository, arguments.files)
    return guard.check_staged(arguments.repository)
