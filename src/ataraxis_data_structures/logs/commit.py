"""How archives take the place of their sources: all or nothing, whenever the process is killed.

The archives stand aside, synced and read back. A marker file then says, with a check sum of its own:

    axds assembly 1
    archive TEMPORARY NAME SIZE START CRC     for each archive: all from START on has this CRC-32C
    source NAME                               for each file that the archives now hold
    end CRC-32C

From the moment it stands, whoever comes next goes on: renames what is not renamed yet, removes the listed sources that
are left, then the marker. Files that are not listed are new messages, whatever their names.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._core import crc, members, npy
from ..errors import ArchiveError
from .pack import Written
from .plan import MEMBER

MARKER = ".axds-assembly"

_HEAD = b"axds assembly 1\n"
_TEMPORARY = re.compile(r"\.\d+_log\.npz\.tmp|\.axds-assembly\.tmp", re.ASCII)
_NAMES_AT_ONCE = 65536
# A disk that discards what is freed makes each removal wait for it; waits of several threads overlap (10 times faster).
_REMOVERS = 8


class Aside(NamedTuple):
    """An archive that waits under a temporary name for the name it will have."""

    written: Written
    name: str


@contextmanager
def locked_folder(path: Path) -> Iterator[int]:
    """Open a log directory for the only assembly in it at a time; waits for another one to end."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(folder)
        yield folder
    finally:
        os.close(folder)


def publish(folder: int, archives: list[Aside], sources: Iterable[str] | None) -> None:
    """Rename archives into place, then remove their sources; without sources, they stay."""
    if sources is None:
        for archive in archives:
            os.rename(archive.written.temporary, archive.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
        return
    _write_marker(folder, archives, sources)
    finish(folder)


def finish(folder: int) -> None:
    """Finish the assembly whose marker stands in a folder, if one does, and remove what a dead one left aside."""
    with suppress(FileNotFoundError):
        with open(os.open(MARKER, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as file:  # noqa: PTH123
            archives, sources = _read_marker(file.read())
        for archive in archives:
            _put_in_place(folder, archive)
        os.fsync(folder)
        _remove(folder, sources)
        os.unlink(MARKER, dir_fd=folder)
        os.fsync(folder)
    for name in os.listdir(folder):
        if _TEMPORARY.fullmatch(name):
            os.unlink(name, dir_fd=folder)


def _lock(folder: int) -> None:
    try:
        import fcntl  # noqa: PLC0415  # not on Windows
    except ImportError:
        return
    with suppress(OSError):  # a file system without locks: whoever shares it has to agree on who assembles
        fcntl.flock(folder, fcntl.LOCK_EX)


def _write_marker(folder: int, archives: list[Aside], sources: Iterable[str]) -> None:
    fd = os.open(f"{MARKER}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666, dir_fd=folder)
    with open(fd, "wb") as file:  # noqa: PTH123  # relative to a folder
        lines = [
            f"archive {written.temporary} {name} {' '.join(map(str, written[1:]))}\n" for written, name in archives
        ]
        check = 0
        for block in _blocks(lines, sources):
            check = crc.crc32c(block, check)
            file.write(block)
        file.write(f"end {check}\n".encode())
        file.flush()
        os.fsync(fd)
    os.rename(f"{MARKER}.tmp", MARKER, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _blocks(lines: list[str], sources: Iterable[str]) -> Iterator[bytes]:
    yield _HEAD
    yield "".join(lines).encode()
    left = iter(sources)
    while some := list(islice(left, _NAMES_AT_ONCE)):
        yield "".join(f"source {name}\n" for name in some).encode()


def _read_marker(text: bytes) -> tuple[list[Aside], list[str]]:
    body, _, end = text.rpartition(b"end ")
    if not text.startswith(_HEAD) or end != b"%d\n" % crc.crc32c(body):
        raise ArchiveError(f"{MARKER} is damaged: compare archives and sources by hand, then remove it")
    archives, sources = [], []
    for line in body.decode().split("\n")[1:-1]:
        kind, _, rest = line.partition(" ")
        if kind == "source":
            sources.append(rest)
            continue
        temporary, name, *numbers = rest.split(" ")
        archives.append(Aside(Written(temporary, *map(int, numbers)), name))
    return archives, sources


def _put_in_place(folder: int, archive: Aside) -> None:
    written, name = archive
    if _is_written(folder, written.temporary, written):
        os.rename(written.temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    elif not _is_written(folder, name, written):
        raise ArchiveError(
            f"{name} is not the archive that an assembly wrote before it was killed; "
            f"nothing was removed: put that archive back, or remove {MARKER} to assemble the sources anew"
        )


def _is_written(folder: int, name: str, written: Written) -> bool:
    """Tell whether the archive that was written stands under this name: by its size and all behind its members."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    with open(fd, "rb") as file:  # noqa: PTH123  # relative to a folder
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size != written.size:
            return False
        file.seek(written.directory_start)
        check = 0
        while block := file.read(2**20):
            check = crc.crc32c(block, check)
    return check == written.directory_crc


def _remove(folder: int, sources: list[str]) -> None:
    """Remove sources that may be gone already."""
    with ThreadPoolExecutor(_REMOVERS) as executor:
        for start in range(0, len(sources), _NAMES_AT_ONCE):
            rows, others = members.of_files(sources[start : start + _NAMES_AT_ONCE])
            count = len(rows) // MEMBER.itemsize
            edges = [count * part // _REMOVERS for part in range(_REMOVERS + 1)]
            for removal in [executor.submit(_remove_members, folder, rows, *part) for part in pairwise(edges)]:
                removal.result()
            for name in others:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)


def _remove_members(folder: int, rows: bytearray, first: int, last: int) -> None:
    done, error = members.unlink(folder, rows, first, last) if first < last else (last, 0)
    if error:
        row = np.frombuffer(rows, MEMBER)[done]
        name = npy.file_name(int(row["source"]), int(row["time"]), int(row["repeat"]))
        raise OSError(error, os.strerror(error), name)
