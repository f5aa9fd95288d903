"""Write a small file that has no name until it is whole, so that a killed writer leaves nothing in the folder."""

import errno
import os
from pathlib import Path

from ..system.atomic import atomic_write
from ..system.disk import give_name, sync_folder

# What a file system or kernel without unnamed files says.
_NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}


def write_unnamed(path: Path, text: str) -> None:
    """Write a file, synced; it is under its name as a whole, or absent, also if the writer is killed.

    A file that was there is unlinked just before, so a kill between the two leaves none: use it where an outdated file
    is worth less than none. File systems without unnamed files get the temporary file of `atomic_write`.
    """
    fd = _open_unnamed(path.parent)
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


def _open_unnamed(folder: Path) -> int | None:
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in _NO_UNNAMED and folder.is_dir():
            return None
        raise


def _give_name(fd: int, path: Path) -> None:
    while True:
        try:
            give_name(fd, path)
        except FileExistsError:
            path.unlink(missing_ok=True)
        else:
            return
