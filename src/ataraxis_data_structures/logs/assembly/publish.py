"""How archives take the place of their sources: all or nothing, whenever the process is killed.

The archives stand aside, synced and read back. A marker file then says, with a check sum of its own:

    axds assembly 1
    archive TEMPORARY NAME SIZE START CRC     for each archive: all from START on has this CRC-32C
    source NAME                               for each file that the archives now hold
    aside NAME                                for each that has bytes no archive holds: it becomes NAME.damaged
    end CRC-32C

From the moment it stands, whoever comes next goes on: renames what is not renamed yet, removes the listed sources that
are left, then the marker. A listed file counts as left over only if it is not younger than the marker and an archive
holds its bytes: a session that began meanwhile may have used the name of one that was gone. All other files are new.
A sync of the names that fails removes no source; the next assembly renames the archives again before it syncs, since a
second sync alone would succeed and lie: the kernel has dropped what it could not write.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..._core import frame, npz
from ...errors import ArchiveError
from ..archive.index import Contents
from .plan import MEMBER
from .writer import Written

MARKER = ".axds-assembly"

_HEAD = b"axds assembly 1\n"
_TEMPORARY = re.compile(r"\.\d+_log\.npz\.tmp|\.axds-assembly\.tmp", re.ASCII)
_SOURCE = b"source "
_NAMES_AT_ONCE = 65536
_BLOCK_BYTES = 2**20
# A disk that discards what is freed makes each removal wait for it; waits of several threads overlap (10 times faster).
_REMOVERS = 8


class Aside(NamedTuple):
    """An archive that waits under a temporary name for the name it will have."""

    written: Written
    name: str


def publish(
    folder: int, path: Path, archives: list[Aside], sources: Iterable[str] | None, damaged: Iterable[str] = ()
) -> None:
    """Rename archives into place, then remove their sources, `damaged` ones aside; without sources, all stay."""
    if sources is None:
        for archive in archives:
            os.rename(archive.written.temporary, archive.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
        return
    _write_marker(folder, archives, sources, damaged)
    finish(folder, path, resumed=False)


def finish(folder: int, path: Path, *, resumed: bool = True) -> None:
    """Finish the assembly whose marker stands in a folder, if one does, and remove what a dead one left aside.

    `resumed` is false if nobody else can have been in the folder since the marker was written.
    """
    with suppress(FileNotFoundError):
        with open(os.open(MARKER, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder), "rb") as file:  # noqa: PTH123
            archives, damaged = _read_marker(file)
            for archive in archives:
                _put_in_place(folder, archive)
            os.fsync(folder)
            if resumed:
                _remove_left_over(folder, path, archives, file)
            else:
                _remove(folder, file)
        for name in damaged:
            with suppress(FileNotFoundError):
                os.rename(name, f"{name}.damaged", src_dir_fd=folder, dst_dir_fd=folder)
        os.unlink(MARKER, dir_fd=folder)
        os.fsync(folder)
    for name in os.listdir(folder):
        if name.startswith(".") and _TEMPORARY.fullmatch(name):
            os.unlink(name, dir_fd=folder)


def _write_marker(folder: int, archives: list[Aside], sources: Iterable[str], damaged: Iterable[str]) -> None:
    fd = os.open(f"{MARKER}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666, dir_fd=folder)
    with open(fd, "wb") as file:  # noqa: PTH123  # relative to a folder
        lines = [
            f"archive {written.temporary} {name} {' '.join(map(str, written[1:]))}\n" for written, name in archives
        ]
        lines += [f"aside {name}\n" for name in damaged]
        check = 0
        for block in _blocks(lines, sources):
            check = frame.crc32c(block, check)
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


def _read_marker(file: BinaryIO) -> tuple[list[Aside], list[str]]:
    """Check a marker; return its archives and the names to put aside, `file` standing before the sources."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - len(b"end 4294967295\n")))
    _, word, number = file.read().rpartition(b"end ")
    left, check = size - len(word) - len(number), 0
    file.seek(0)
    while block := file.read(min(left, _BLOCK_BYTES)):
        check, left = frame.crc32c(block, check), left - len(block)
    file.seek(0)
    if file.readline() != _HEAD or not word or number != b"%d\n" % check:
        raise ArchiveError(f"{MARKER} is damaged: compare archives and sources by hand, then remove it")
    archives, aside = [], []
    while True:
        start = file.tell()
        kind, _, rest = file.readline().decode().removesuffix("\n").partition(" ")
        if kind == "archive":
            temporary, name, *numbers = rest.split(" ")
            archives.append(Aside(Written(temporary, *map(int, numbers)), name))
        elif kind == "aside":
            aside.append(rest)
        else:
            file.seek(start)
            return archives, aside


def _listed(file: BinaryIO) -> Iterator[list[str]]:
    """Yield the names of the sources that follow in a marker, some at a time."""
    names = (line[len(_SOURCE) : -1].decode() for line in file if line.startswith(_SOURCE))
    while some := list(islice(names, _NAMES_AT_ONCE)):
        yield some


def _put_in_place(folder: int, archive: Aside) -> None:
    written, name = archive
    if _is_written(folder, written.temporary, written):
        os.rename(written.temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    elif _is_written(folder, name, written):  # renamed by an assembly that ended before its names were synced
        os.rename(name, written.temporary, src_dir_fd=folder, dst_dir_fd=folder)
        os.rename(written.temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
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
        while block := file.read(_BLOCK_BYTES):
            check = frame.crc32c(block, check)
    return check == written.directory_crc


def _remove(folder: int, marker: BinaryIO) -> None:
    """Remove sources that may be gone already."""
    with ThreadPoolExecutor(_REMOVERS) as executor:
        for names in _listed(marker):
            rows, others = npz.members_of_files(names)
            count = len(rows) // MEMBER.itemsize
            edges = [count * part // _REMOVERS for part in range(_REMOVERS + 1)]
            for removal in [executor.submit(_remove_members, folder, rows, *part) for part in pairwise(edges)]:
                removal.result()
            for name in others:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)


def _remove_members(folder: int, rows: bytearray, first: int, last: int) -> None:
    done, error = npz.unlink_members(folder, rows, first, last) if first < last else (last, 0)
    if error:
        row = np.frombuffer(rows, MEMBER)[done]
        name = npz.file_name(int(row["source"]), int(row["time"]), int(row["repeat"]))
        raise OSError(error, os.strerror(error), name)


def _remove_left_over(folder: int, path: Path, archives: list[Aside], marker: BinaryIO) -> None:
    """Remove those of the listed sources that are still the ones that were listed."""
    written_ns = os.fstat(marker.fileno()).st_mtime_ns
    contents = {archive.name.partition("_")[0]: Contents(path / archive.name) for archive in archives}
    for name in chain.from_iterable(_listed(marker)):
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=folder).st_mtime_ns > written_ns:
                continue
            if name.endswith(".npy") and not _holds(contents, folder, name):
                continue
            os.unlink(name, dir_fd=folder)


def _holds(archives: dict[str, Contents], folder: int, name: str) -> bool:
    source, time = (int(part) for part in name.removesuffix(".npy").split("_")[:2])
    contents = archives[str(source)]
    with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as file:  # noqa: PTH123
        data = file.read()
    return any(bytes(contents.file(index)) == data for index in contents.at_time(time))
