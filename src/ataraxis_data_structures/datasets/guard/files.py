"""The rules held against files on the disk."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .rules import rule_of

POINTER_BYTES = 1024  # Git LFS makes no larger ones
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.+\n)*oid sha256:[0-9a-f]{64}\nsize \d+\n")


class Finding(NamedTuple):
    """A file that is not for a repository: its path from the top, its size, the rule, and git's name of the blob."""

    path: str
    bytes: int
    rule: str
    blob: str = ""


def check(paths: Iterable[Path | str]) -> list[Finding]:
    """Return which files on the disk a repository must not hold, by the rules of the guard.

    Args:
        paths: Files, and folders with all that is below them. Paths are judged from the top of their git repository;
            outside of one, as they are given.

    Raises:
        FileNotFoundError: A path leads nowhere.
    """
    found = []
    for given in paths:
        for path in _files(Path(given)):
            name, size = _name_in_repository(path), path.lstat().st_size
            rule = rule_of(name, size)
            if rule and not (size <= POINTER_BYTES and path.is_file() and is_pointer(path.read_bytes())):
                found.append(Finding(name, size, rule))
    return found


def is_pointer(data: bytes) -> bool:
    """Tell whether a blob is what Git LFS commits in place of a file."""
    return _POINTER.fullmatch(data) is not None


def _files(path: Path) -> Iterator[Path]:
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name != ".git")
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in sorted([*names, *links]))


def _name_in_repository(path: Path) -> str:
    absolute = Path(os.path.normpath(Path.cwd() / path))  # links stay what they are
    for folder in absolute.parents:
        if (folder / ".git").exists():
            return absolute.relative_to(folder).as_posix()
    return path.as_posix().lstrip("/")
