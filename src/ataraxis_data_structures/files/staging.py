"""Where a copy grows before it is published: a folder beside the target, or inside one that exists."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, count
from pathlib import Path

from .._core.bulk import LOST_TIME, copy_metadata, unlink_files
from ..system.locks import try_lock_file
from .losses import Losses
from .walk import Tree, open_beneath, open_unaccessed

_INSIDE = ".axds.partial"
_LEFTOVER = re.compile(r"\..+\.(partial|removed)", re.DOTALL)
_NAME_BYTES = 255


def marker_name(tree: Tree) -> str:
    """Return the name that marks a folder as partial: one that the source does not use, as a partial one does."""
    taken = {*tree.files, *tree.folders, *tree.links}
    return next(name for name in chain([_INSIDE], map(f"{_INSIDE}.{{}}".format, count(1))) if name not in taken)


def is_leftover(folder: Path) -> bool:
    """Return whether a folder has the name of what an interrupted transfer or removal leaves."""
    return _LEFTOVER.fullmatch(folder.name) is not None


def staging_of(destination: Path, inside: str) -> Path:
    """Return the folder whose existence marks the destination as partial; `inside` is its name in one that exists."""
    if destination.is_dir():
        return destination / inside  # its parent may be another file system, and nothing is renamed over a mount point
    stem = os.fsdecode(os.fsencode(destination.name)[: _NAME_BYTES - len("..partial")])
    return destination.with_name(f".{stem}.partial")


def without_staging(tree: Tree, inside: str) -> Tree:
    """Return a tree without what a transfer under way keeps in it."""
    files, folders, links, others = (
        [name for name in names if name != inside and not name.startswith(f"{inside}/")]
        for names in (tree.files, tree.folders, tree.links, tree.others)
    )
    return Tree(files, folders, links, others)


@contextmanager
def staged(folder: Path) -> Iterator[int]:
    """Give the descriptor of a staging folder, which one transfer at a time holds."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(fd, folder)
        _own(fd)
        yield fd
    finally:
        os.close(fd)


def clear_strays(target: int, wanted: Tree, earlier: Tree) -> None:
    """Remove what an earlier transfer left and this one does not want; its files are kept, to be gone on with."""
    for folder in earlier.folders:
        os.chmod(folder, 0o700, dir_fd=target)
    strays = set(earlier.files).difference(wanted.files).union(earlier.links, earlier.others)
    unlink_files(target, [os.fsencode(name) for name in strays])
    for folder in sorted(set(earlier.folders).difference(wanted.folders), reverse=True):
        os.rmdir(folder, dir_fd=target)


def make_folders(target: int, folders: Sequence[str]) -> None:
    """Make folders that only we enter for now."""
    for folder in folders:
        try:
            os.mkdir(folder, 0o700, dir_fd=target)
        except FileExistsError:
            continue


def make_links(source: int, target: int, links: Sequence[str], lost: Losses) -> None:
    """Make the same links, with their times."""
    for link in links:
        status = os.stat(link, dir_fd=source, follow_symlinks=False)
        os.symlink(os.readlink(link, dir_fd=source), link, dir_fd=target)
        os.utime(link, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)
        if os.stat(link, dir_fd=target, follow_symlinks=False).st_mtime_ns != status.st_mtime_ns:
            lost.add(link, LOST_TIME)


def stamp_folders(source: int, target: int, tree: Tree, folders: Sequence[str], lost: Losses) -> None:
    """Give folders their attributes, modes and times; the deepest first, since each needs the way to it."""
    for folder in reversed(folders):
        with ExitStack() as opened:
            pair = []
            for root in (source, target):
                pair.append(open_beneath(root, folder))
                opened.callback(os.close, pair[-1])
            lost.add(folder or ".", copy_metadata(pair[0], pair[1], tree.accessed_ns[folder]))


def make_writable(root: int, folders: Sequence[str]) -> None:
    """Give the owner the right to change what folders hold, where it is missing; no right of others changes."""
    for folder in folders:
        fd = open_beneath(root, folder)
        try:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if mode & 0o300 != 0o300:
                os.fchmod(fd, mode | 0o300)
        finally:
            os.close(fd)


def open_own(name: str, flags: int, folder: int) -> int:
    """Open a file of one's own for reading, also one whose mode shuts out its owner: it may be a copy of another's."""
    try:
        return open_unaccessed(name, flags, folder)
    except PermissionError:
        status = os.stat(name, dir_fd=folder)
        if status.st_uid != os.geteuid() or status.st_mode & stat.S_IRUSR:
            raise
    mode = stat.S_IMODE(status.st_mode)
    os.chmod(name, mode | stat.S_IRUSR, dir_fd=folder)
    try:
        return open_unaccessed(name, flags, folder)
    finally:
        os.chmod(name, mode, dir_fd=folder)


def publish_inside(staging: int, destination: int, tree: Tree, names: Sequence[str]) -> None:
    """Move staged files and links to their places in a folder that exists, each by one rename."""
    make_folders(destination, tree.folders)
    make_writable(destination, tree.folders)
    for name in names:
        os.rename(name, name, src_dir_fd=staging, dst_dir_fd=destination)
    for folder in reversed(tree.folders):
        os.rmdir(folder, dir_fd=staging)


def _own(fd: int) -> None:
    """Let nobody else in, and drop the ACLs that the folder above gives to what is made in it."""
    os.fchmod(fd, 0o700)
    for name in os.listxattr(fd) if hasattr(os, "listxattr") else ():
        if name.startswith("system.posix_acl_"):
            os.removexattr(fd, name)


def _lock(fd: int, folder: Path) -> None:
    try:
        is_free = try_lock_file(fd)
    except OSError:  # network file systems lock no folders; there, two at once are the callers' affair
        return
    if not is_free:
        raise RuntimeError(f"another transfer to {folder} is under way")
    if not folder.exists() or folder.stat().st_ino != os.fstat(fd).st_ino:
        raise RuntimeError(f"another transfer to {folder} has just ended")
