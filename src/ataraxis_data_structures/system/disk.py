"""What a file system is asked for beyond reading and writing: space, durability, names and shared extents."""

import errno
import os
import stat
from pathlib import Path

from .platform import FCNTL

_NO_LIMIT = 2**63 - 1
_FICLONE = 0x40049409
# What a file system or kernel without nameless files says.
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}
# Another file system, or one that shares no extents; no right to, or no such call.
_NOT_HERE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.EBADF}


def allocate(descriptor: int, size_bytes: int) -> None:
    """Take the space for the first bytes of a file now, so that a full disk is an error here and no SIGBUS in a map.

    Raises:
        OSError: There is less space (ENOSPC).
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size_bytes)
        return
    zeros = bytes(min(size_bytes, 1 << 20))
    position = os.fstat(descriptor).st_size
    while position < size_bytes:
        position += os.pwrite(descriptor, zeros[: size_bytes - position], position)


def file_size_limit() -> int:
    """Return how many bytes a file that this process writes may have (ulimit -f)."""
    try:
        import resource  # noqa: PLC0415 there is none on Windows
    except ImportError:
        return _NO_LIMIT
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return _NO_LIMIT if limit == resource.RLIM_INFINITY else limit


def sync_data(descriptor: int) -> None:
    """Return when the bytes of a file are on the disk, and what is needed to find them.

    macOS leaves them in the cache of the drive unless F_FULLFSYNC is asked for.
    """
    if hasattr(FCNTL, "F_FULLFSYNC"):
        FCNTL.fcntl(descriptor, FCNTL.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk, among them those that a rename gave."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_nameless(folder: Path) -> int | None:
    """Open a new file of a folder that has no name yet, so that a killed writer leaves nothing; None where none can be.

    Raises:
        OSError: The folder is missing, or may not be written.
    """
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/thread-self/fd"):  # noqa: PTH112 for `give_name`
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in _NO_NAMELESS and folder.is_dir():
            return None
        raise


def give_name(descriptor: int, name: str | Path, folder: int | None = None) -> None:
    """Link a file that was opened without a name (O_TMPFILE) to one, which must be free.

    Args:
        descriptor: The open file.
        name: Its name; relative to `folder` where that is given.
        folder: The descriptor of a folder.

    Raises:
        FileExistsError: The name is taken.
    """
    # A descriptor for the folder makes Python call linkat, which follows the link in /proc; link does not.
    source = f"/proc/thread-self/fd/{descriptor}"  # the main thread may have ended, and then has none
    os.link(source, name, src_dir_fd=descriptor if folder is None else folder, dst_dir_fd=folder, follow_symlinks=True)


def clone_file(source: int, target: int) -> bool:
    """Let an empty file share the extents of another, where the file system can; tells whether it did.

    Raises:
        OSError: The disk is full, or failed.
    """
    if FCNTL is None:
        return False
    try:
        FCNTL.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return True


def read_record_file(path: Path) -> bytes:
    """Return what a small file says; OSError for what is no file: opening a pipe would wait for a writer."""
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "expected a file, got something else", str(path))
        return file.read()
