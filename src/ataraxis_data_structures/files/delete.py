"""Remove a folder and all it holds, and nothing else."""

import errno
import os
import stat
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .._core.bulk import unlink_files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 5
_PAUSE_S = 0.5
_PASSES = 20
# What was listed is gone, has become a file or a folder, or holds something new.
_RACES = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST}


def delete_directory(directory_path: Path) -> None:
    """Remove a folder and what it holds; links, pipes and sockets are unlinked, never followed.

    Returns once the folder is gone, whatever others remove or replace in it meanwhile; a missing folder is none to
    remove, a dangling link is unlinked. One that cannot be removed (others still write to it, or permissions) is tried
    five times within three seconds, then left, with a warning that says why.

    Raises:
        NotADirectoryError: The path is a file.
    """
    path = Path(directory_path)
    reason: OSError | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        for _ in range(_PASSES):
            try:
                _remove(path)
            except FileNotFoundError as error:
                if not os.path.lexists(path):
                    return
                reason = error
            except OSError as error:
                if error.filename == str(path) and error.errno == errno.ENOTDIR:
                    raise
                reason = error
                if error.errno not in _RACES:
                    break
            else:
                return
    warnings.warn(f"could not remove {path}: {reason}", RuntimeWarning, stacklevel=2)


def _remove(path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        _remove_link(path)
        return
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    fd = os.open(path, _FOLDER)
    try:
        _empty(fd)
    finally:
        os.close(fd)
    path.rmdir()


def _remove_link(path: Path) -> None:
    """Unlink a link to a folder, or to nothing; what it leads to stays."""
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        is_folder = True
    if not is_folder:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    path.unlink()


def _empty(root: int) -> None:
    """Remove what a folder holds; one descriptor moves down and up, so that depth has no limit.

    Each step down refuses a link, each step up must arrive where it came from: what was moved away meanwhile is an
    error, and nothing outside is touched. What others removed, replaced or added is passed over, for the next pass.
    """
    here = os.dup(root)
    above: list[tuple[list[str], tuple[int, int]]] = []
    try:
        left = _unlink_all_but_folders(here)
        while left or above:
            if left:
                if (deeper := _step_down(here, left[-1])) is None:
                    left.pop()
                    continue
                above.append((left, _identity(here)))
                os.close(here)
                here = deeper
                left = _unlink_all_but_folders(here)
                continue
            left, identity = above.pop()
            here = _step_up(here)
            if _identity(here) != identity:
                raise OSError(f"the folder that held {left[-1]} was moved while it was removed")
            _tolerate(partial(os.rmdir, left.pop(), dir_fd=here))
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
    _tolerate(partial(unlink_files, fd, others))
    return folders


def _step_down(fd: int, name: str) -> int | None:
    """Open a folder; None if there is none of that name any more."""
    try:
        return os.open(name, _FOLDER, dir_fd=fd)
    except OSError as error:
        if error.errno not in _RACES:
            raise
        return None


def _step_up(fd: int) -> int:
    there = os.open("..", _FOLDER, dir_fd=fd)
    os.close(fd)
    return there


def _tolerate(removal: Callable[[], object]) -> None:
    """Try to remove; what others changed meanwhile is left to the next pass."""
    try:
        removal()
    except OSError as error:
        if error.errno not in _RACES:
            raise


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
