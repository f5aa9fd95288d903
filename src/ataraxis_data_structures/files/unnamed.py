"""Write a small file that has no name until it is whole, so that a killed writer leaves nothing in the folder."""

import os
from pathlib import Path

from ..system.atomic import atomic_write
from ..system.disk import give_name, open_nameless, sync_folder


def write_unnamed(path: Path, text: str) -> None:
    """Write a file, synced; it is under its name as a whole, or absent, also if the writer is killed.

    A file that was there is unlinked just before, so a kill between the two leaves none: use it where an outdated file
    is worth less than none. File systems without unnamed files get the temporary file of `atomic_write`.
    """
    fd = open_nameless(path.parent)
    if fd is None:
        with atomic_write(path) as file:
            file.write(text)
        return
    with os.fdopen(fd, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
        _give_name(fd, path)
    sync_folder(path.parent)


def _give_name(fd: int, path: Path) -> None:
    while True:
        try:
            give_name(fd, path)
        except FileExistsError:
            path.unlink(missing_ok=True)
        else:
            return
