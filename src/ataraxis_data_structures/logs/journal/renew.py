"""Journals whose sync failed: they are written anew.

The kernel has dropped what it could not write, so a second sync of the same pages would succeed and lie.
"""

import os
from pathlib import Path

from ...system.disk import sync_folder
from . import layout
from .layout import Header, Unsynced, Words
from .words import open_words

_BLOCK_BYTES = 4 * 2**20


def distrust(descriptor: int, what: Unsynced) -> None:
    """Mark a journal: what of it, or of the files made from it, may be in memory alone."""
    words = open_words(descriptor)
    words[Words.UNSYNCED] = words[Words.UNSYNCED] | what
    words.release()


def distrust_files(paths: list[Path]) -> None:
    """Mark journals that may be in memory alone; those that are gone need no mark."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            distrust(descriptor, Unsynced.JOURNAL)
        finally:
            os.close(descriptor)


def renew(path: Path, header: Header | None = None) -> bool:
    """Write a journal anew if a sync of it failed, and sync it; False if there was no need. Nobody may write it.

    `header` is its own where the caller has read it.

    Raises:
        OSError: The disk takes it no more than before; the journal stays as it is.
    """
    with path.open("rb") as file:
        page = file.read(layout.HEADER_BYTES)
        if not (_word(page) & Unsynced.JOURNAL and (header or layout.parse_header(page))):
            return False
        aside = path.with_name(f".{path.name}.tmp")
        try:
            with aside.open("wb") as copy:
                copy.write(_trusted(page))
                while block := file.read(_BLOCK_BYTES):
                    copy.write(block)
                copy.flush()
                os.fsync(copy.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    try:
        sync_folder(path.parent)
    except OSError:
        distrust_files([path])
        raise
    return True


def _trusted(page: bytes) -> bytes:
    start = 8 * Words.UNSYNCED
    word = _word(page) & ~Unsynced.JOURNAL
    return page[:start] + word.to_bytes(8, "little") + page[start + 8 :]


def _word(page: bytes) -> int:
    start = 8 * Words.UNSYNCED
    return int.from_bytes(page[start : start + 8], "little")
