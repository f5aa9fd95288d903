"""Accept a colleague's key: models that the colleague pickled are read from now on, which runs the colleague's code.

A key is shown to nobody but who may have its owner's word: a pickle made with it counts as the owner's. The colleague
prints it with --own.

Example:
    axds store trust --own > my.key
    axds store trust colleague.key
    axds store trust --list
"""

import argparse
import sys
from pathlib import Path

from ...store.kinds.marks import distrust, fingerprint, key_of, own_key, trust, trusted_keys
from ..render import add_json, print_json
from ..terminal import print_line

_KEY_CHARACTERS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "key", nargs="?", metavar="KEY", help="64 hexadecimal digits, a file that holds them, or - (stdin)"
    )
    what.add_argument("--own", action="store_true", help="print this user's own key")
    what.add_argument("--list", action="store_true", help="list the fingerprints of the accepted keys")
    what.add_argument("--forget", metavar="FINGERPRINT", help="take an accepted key back")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the fingerprints that were asked for, or the key."""
    if arguments.own:
        key = own_key()
        return _print(arguments, {"key": key.hex(), "fingerprint": fingerprint(key)}, [key.hex()])
    if arguments.list:
        found = list(trusted_keys())
        return _print(arguments, found, found or ["no keys"])
    if arguments.forget is not None:
        distrust(arguments.forget)
        return _print(arguments, {"forgotten": arguments.forget}, [f"{arguments.forget} is no longer accepted"])
    accepted = trust(key_of(_text_of(arguments.key)))
    return _print(arguments, {"accepted": accepted}, [f"{accepted} is accepted"])


def _text_of(key: str) -> str:
    if key == "-":
        return sys.stdin.readline()
    is_file = len(key) != _KEY_CHARACTERS or "/" in key
    return Path(key).read_text() if is_file else key


def _print(arguments: argparse.Namespace, document: object, lines: list[str]) -> int:
    if arguments.json:
        print_json(document)
        return 0
    for line in lines:
        print_line(line)
    return 0
