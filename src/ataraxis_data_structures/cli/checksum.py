"""Print the checksum of a folder, or check the folder against one.

The xxh3-128 digest covers every file's name and contents, whatever the order or the machine. --save keeps it in the
folder as ax_checksum.txt, with the digest of each file in .ax_manifest; --verify checks against them and names the
files that differ; --manifest lists the digest of each file.

Example:
    axds checksum /data/session_01 --save
    axds checksum /data/session_01 --verify
"""

import argparse

from ..errors import IntegrityError
from ..files.checksum import calculate_directory_manifest, combine, verify_directory_checksum, write_checksum
from ..files.manifest import write_manifest
from .places import local_folder
from .render import add_json, print_json, shows_progress
from .terminal import print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=local_folder)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--save", action="store_true", help="keep the checksum in the folder as ax_checksum.txt")
    what.add_argument("--verify", action="store_true", help="check the folder against its ax_checksum.txt")
    what.add_argument("--manifest", action="store_true", help="list the digest of each file")
    parser.add_argument("--threads", type=int, metavar="N", help="how many threads work (default: all CPUs but two)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the checksum, or what the check found."""
    if arguments.verify:
        return _verify(arguments)
    manifest = calculate_directory_manifest(arguments.directory, arguments.threads, progress=shows_progress(arguments))
    checksum = combine(manifest)
    if arguments.save:
        write_checksum(arguments.directory, checksum)
        write_manifest(arguments.directory, manifest)
    if arguments.json:
        files = {"manifest": manifest} if arguments.manifest else {}
        print_json({"directory": arguments.directory, "files": len(manifest), "checksum": checksum, **files})
        return 0
    for name, digest in manifest.items() if arguments.manifest else ():
        print_line(f"{digest}  {name}")
    print_line(checksum)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    try:
        checksum = verify_directory_checksum(arguments.directory, arguments.threads, progress=shows_progress(arguments))
    except IntegrityError as error:
        if not arguments.json:
            raise
        print_json({"directory": arguments.directory, "unchanged": False, "reason": str(error), "files": error.paths})
        return 1
    if arguments.json:
        print_json({"directory": arguments.directory, "unchanged": True, "checksum": checksum})
    else:
        print_line(f"unchanged: {checksum}")
    return 0
