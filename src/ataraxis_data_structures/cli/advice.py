"""Errors as one line that says what to do."""

import errno
import os
from pathlib import Path

from .terminal import escaped

_ADVICE = {
    errno.ENOENT: "check the path",
    errno.EACCES: "ask its owner for access, or run as that user",
    errno.EPERM: "ask its owner for access, or run as that user",
    errno.ENOSPC: "free some space and run the command again",
    errno.EDQUOT: "free some space of this user and run the command again",
    errno.EROFS: "choose a place that can be written",
    errno.ENOTDIR: "name a folder",
    errno.EISDIR: "name a file",
    errno.EEXIST: "choose another name, or remove it first",
    errno.EIO: "the disk itself fails: look at the kernel's log and copy what can be read",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`) and run the command again",
}


def require_directory(path: Path) -> None:
    """Raise the system's own error unless there is a folder that can be listed."""
    os.scandir(path).close()


def describe(error: BaseException) -> str:
    """Return an error as one line that names the file where there is one, and what to do."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        where = f"{_name(error.filename)}: " if error.filename else ""
        advice = _ADVICE.get(error.errno)
        return f"{where}{_one_line(error.strerror)}" + (f"; {advice}" if advice else "")
    if isinstance(error, MemoryError):
        return "not enough memory; close other programs, or take a part at a time"
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return _one_line(text) or type(error).__name__


def _name(name: object) -> str:
    return escaped(os.fsdecode(name) if isinstance(name, bytes) else name)


def _one_line(text: str) -> str:
    """Return a text of several lines as one."""
    return " ".join(text.split())
