"""Folders as people type them."""

import argparse
from pathlib import Path

from ..files.places import refuse_url


def local_folder(text: str) -> Path:
    """Return the path of an argument; an empty one, as an unset variable gives, is not the working directory."""
    if not text:
        raise argparse.ArgumentTypeError("expected a folder, got an empty name")
    try:
        refuse_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def removable_folder(text: str) -> Path:
    """Return the path of a folder to remove, which is named and not `.` or `..`, as `rm` has it."""
    if text and text.rstrip("/").rpartition("/")[2] in ("", ".", ".."):
        raise argparse.ArgumentTypeError(f"expected the name of a folder, got {text!r}")
    return local_folder(text)
