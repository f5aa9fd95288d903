"""Remove a folder and all it holds, and nothing else."""

import os
import time
import warnings
from pathlib import Path

from .._core.bulk import unlink_files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 5
_PAUSE_S = 0.5


def delete_directory(directory_path: Path) -> None:
    """Remove a folder and what it holds; links, pipes and sockets are unlinked, never followed.

    A missing folder is none to remove. One that cannot be removed (others still write to it, or permissions) is tried
    five times within three seconds, then left, with a warning that says why.

    Raises:
        NotADirectoryError: The path is a file.
    """
    path = Path(directory_path)
    reason: OSError | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        try:
            _remove(path)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            if not path.is_dir():
                raise
            path.unlink()  # a link to a folder: the link goes, the folder stays
            return
        except OSError as error:
            reason = error
        else:
            return
    warnings.warn(f"could not remove {path}: {reason}", RuntimeWarning, stacklevel=2)


def _remove(path: Path) -> None:
    fd = os.open(path, _FOLDER)
    try:
        _empty(fd)
    finally:
        os.close(fd)
    path.rmdir()


def _empty(root: int) -> None:
    """Remove what a folder holds; one descriptor moves down and up, so that depth has no limit.

    Each step down refuses a link, each step up must arrive where it came from: what was moved away or replaced
    meanwhile is an error, and nothing outside is touched.
    """
    here = os.dup(root)
    above: list[tuple[list[str], tuple[int, int]]] = []
    try:
        left = _unlink_all_but_folders(here)
        while left or above:
            if left:
                above.append((left, _identity(here)))
                here = _step(here, left[-1])
                left = _unlink_all_but_folders(here)
                continue
            left, identity = above.pop()
            here = _step(here, "..")
            if _identity(here) != identity:
                raise OSError(f"the folder that held {left[-1]} was moved while it was removed")
            os.rmdir(left.pop(), dir_fd=here)
    finally:
        os.close(here)


def _unlink_all_but_folders(fd: int) -> list[str]:
    folders, others = [], []
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                others.append(os.fsencode(entry.name))
    unlink_files(fd, others)
    return folders


def _step(fd: int, name: str) -> int:
    there = os.open(name, _FOLDER, dir_fd=fd)
    os.close(fd)
    return there


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
