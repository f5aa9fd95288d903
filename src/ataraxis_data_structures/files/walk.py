"""What lies in a folder, by kind, at any depth."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_UNACCESSED = getattr(os, "O_NOATIME", 0)  # Linux only
_PATH_BYTES = 4000  # the kernel takes 4095 at once


@dataclass(slots=True)
class Tree:
    """Paths relative to a folder, separated by `/`; folders come before what they hold."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    accessed_ns: dict[str, int] = field(default_factory=dict)  # of folders, before they were read; "" is the top


@contextmanager
def opened(folder: str | os.PathLike[str]) -> Iterator[int]:
    """Give the descriptor of a folder, to which all names beneath it are relative."""
    fd = os.open(folder, _FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


def open_unaccessed(name: str, flags: int, folder: int) -> int:
    """Open a file or folder; reading it leaves its time of access alone where its owner or root asks."""
    try:
        return os.open(name, flags | _UNACCESSED, dir_fd=folder)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
        return os.open(name, flags, dir_fd=folder)  # somebody else's


def open_beneath(root: int, path: str) -> int:
    """Open a folder beneath `root`, also where the path is longer than the kernel takes at once."""
    fd = open_unaccessed(".", _FOLDER, root)
    for piece in _pieces(path):
        try:
            deeper = open_unaccessed(piece, _FOLDER | os.O_NOFOLLOW, fd)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def walk(root: int) -> Tree:
    """List what lies beneath an open folder; links are neither followed nor judged. Unreadable folder: OSError."""
    tree = Tree()
    pending = [""]
    while pending:
        prefix = pending.pop()
        fd = open_beneath(root, prefix[:-1])
        try:
            tree.accessed_ns[prefix[:-1]] = os.fstat(fd).st_atime_ns
            with os.scandir(fd) as entries:
                folders = _sort(entries, prefix, tree)
        finally:
            os.close(fd)
        tree.folders += folders
        pending += [f"{folder}/" for folder in folders]
    return tree


def _sort(entries: Iterator[os.DirEntry[str]], prefix: str, tree: Tree) -> list[str]:
    folders = []
    for entry in entries:
        path = prefix + entry.name
        if entry.is_file(follow_symlinks=False):
            tree.files.append(path)
        elif entry.is_dir(follow_symlinks=False):
            folders.append(path)
        elif entry.is_symlink():
            tree.links.append(path)
        else:
            tree.others.append(path)
    return folders


def _pieces(path: str) -> Iterator[str]:
    if len(path) < _PATH_BYTES // 4:  # the shortest test comes first: this runs for every folder
        return iter([path] if path else [])
    return _cut(path)


def _cut(path: str) -> Iterator[str]:
    piece: list[str] = []
    size = 0
    for name in path.split("/"):
        length = len(os.fsencode(name)) + 1
        if size + length > _PATH_BYTES:
            yield "/".join(piece)
            piece, size = [], 0
        piece.append(name)
        size += length
    yield "/".join(piece)
