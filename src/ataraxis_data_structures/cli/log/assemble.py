"""Assemble a log into archives, one for each source; archives that are there already are added to.

Killed at any moment, the same command finishes the work. What a crash left is recovered first.

Example:
    axds log assemble /data/session_01/rig_data_log --verify
"""

import argparse
from pathlib import Path
from typing import Any

from ...logs.archive.discovery import read_archive_message_count
from ...logs.assembly.assemble import assemble_log_archives
from ...logs.recovery.recover import recover_log_directory
from ..render import add_json, human_bytes, print_json, print_table, shows_progress
from ..terminal import print_error
from .session import look_into, require_log, tell_passed_over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory")
    parser.add_argument("--keep", action="store_true", help="keep the journals and message files")
    parser.add_argument("--verify", action="store_true", help="compare the archives with what they were made from")
    parser.add_argument("--workers", type=int, metavar="N", help="sources at a time (default: all CPUs but two)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Assemble and print the archives."""
    if not arguments.directory.is_dir():
        require_log(arguments.directory)
        raise NotADirectoryError(20, "Not a directory", str(arguments.directory))
    recover_log_directory(arguments.directory)
    tell_passed_over(require_log(arguments.directory))
    assemble_log_archives(
        arguments.directory,
        arguments.workers,
        remove_sources=not arguments.keep,
        verbose=shows_progress(arguments),
        verify_integrity=arguments.verify,
    )
    found = look_into(arguments.directory)
    rows: list[dict[str, Any]] = [
        {"source": source, "messages": read_archive_message_count(path), "bytes": path.stat().st_size, "archive": path}
        for source, path in found.archives.items()
    ]
    if arguments.json:
        print_json(rows)
    else:
        shown = [row | {"size": human_bytes(row["bytes"])} for row in rows]
        print_table(shown, ("source", "messages", "size", "archive"))
    if found.assembled or arguments.keep:
        return 0
    print_error(
        f"{len(found.journals)} journals and {len(found.files)} files are left; run the command again when "
        "nobody records there any more"
    )
    return 1
