"""Write a file whole, or in place."""

import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

from .disk import sync_folder

_NAME_BYTES = 255


@overload
def atomic_write(file_path: Path, *, binary: Literal[False] = False) -> AbstractContextManager[TextIO]: ...
@overload
def atomic_write(file_path: Path, *, binary: Literal[True]) -> AbstractContextManager[BinaryIO]: ...
@overload
def atomic_write(file_path: Path, *, binary: bool) -> AbstractContextManager[IO[Any]]: ...
def atomic_write(file_path: Path, *, binary: bool = False) -> AbstractContextManager[IO[Any]]:
    """Give a handle whose contents replace the file when the block ends, synced; on an exception nothing changes.

    The file appears under its name by rename, so a reader sees the old one or the new one. Text is UTF-8; missing
    parents are created.
    """
    return _atomic_write(Path(file_path), binary=binary)


@overload
def direct_write(file_path: Path, *, binary: Literal[False] = False) -> AbstractContextManager[TextIO]: ...
@overload
def direct_write(file_path: Path, *, binary: Literal[True]) -> AbstractContextManager[BinaryIO]: ...
@overload
def direct_write(file_path: Path, *, binary: bool) -> AbstractContextManager[IO[Any]]: ...
def direct_write(file_path: Path, *, binary: bool = False) -> AbstractContextManager[IO[Any]]:
    """Give a handle that writes the file in place, for data that nobody reads before it is complete.

    Text is UTF-8; missing parents are created. On an exception what was written so far stays.
    """
    return _direct_write(Path(file_path), binary=binary)


@contextmanager
def _atomic_write(path: Path, *, binary: bool) -> Iterator[IO[Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, fd = _temporary(path)
    try:
        try:
            with _handle(os.dup(fd), binary=binary) as handle:
                yield handle
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def _direct_write(path: Path, *, binary: bool) -> Iterator[IO[Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _handle(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666), binary=binary) as handle:
        yield handle


def _handle(fd: int, *, binary: bool) -> IO[Any]:
    return os.fdopen(fd, "wb") if binary else os.fdopen(fd, "w", encoding="utf-8", newline="\n")


def _temporary(path: Path) -> tuple[Path, int]:
    """Create a file beside the target; a second writer of this process, or a dead one's leftover, has its own name."""
    for attempt in itertools.count():
        ending = f".{os.getpid()}.tmp" if not attempt else f".{os.getpid()}.{attempt}.tmp"
        stem = os.fsdecode(os.fsencode(path.name)[: _NAME_BYTES - 1 - len(ending)])
        temporary = path.with_name(f".{stem}{ending}")
        with suppress(FileExistsError):
            return temporary, os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    raise AssertionError  # the counter has no end


def replace_file(path: Path, data: bytes, *, temporary: Path | None = None, keep: Path | None = None) -> None:
    """Write `data` aside, sync it, and rename it to `path`; the file that stood there lives on as `keep`.

    The new file keeps mode, ACL and attributes of the one that it replaces.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = temporary or path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            if path.exists():
                keep_rights(path, file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            keep_file(path, keep)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def keep_file(path: Path, keep: Path) -> None:
    """Give what stands at `path` the second name `keep`, in the place of whatever had it."""
    keep.unlink(missing_ok=True)
    try:
        keep.hardlink_to(path)
    except OSError:  # a file system without links
        keep.write_bytes(path.read_bytes())


def keep_rights(path: Path, descriptor: int) -> None:
    """Give a new file group, owner, mode, ACL and attributes of the one that it replaces, before anything is in it."""
    former = path.stat()
    for owner, group in ((-1, former.st_gid), (former.st_uid, -1)):
        with suppress(PermissionError):
            os.fchown(descriptor, owner, group)
    if hasattr(os, "listxattr"):
        _keep_attributes(path, descriptor)
    os.fchmod(descriptor, stat.S_IMODE(former.st_mode))


def _keep_attributes(path: Path, descriptor: int) -> None:
    """What the folder's default ACL gave to the new file goes; what only the system may set stays as it is."""
    try:
        former, inherited = os.listxattr(path), os.listxattr(descriptor)
    except OSError:  # a file system without attributes
        return
    for name in inherited:
        if name not in former:
            with suppress(OSError):
                os.removexattr(descriptor, name)
    for name in former:
        with suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(path, name))
