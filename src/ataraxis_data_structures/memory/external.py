"""A message of more than half a lane: its record lies in a file of its own, and a record in the lane names the file.

    axds-<queue>-<lane>-<number>     in the folder of shared memory
    .axds-<queue>-<lane>-<number>    in the log directory, while shared memory has no room

The file holds room for a record's header, the payload, and zeros up to a multiple of 8. The header comes with the
record in the lane, and is put in front by the consumer, which writes it to the journal, then removes the file.
A file that no record names is what a producer left that died on the way: it goes with the lane.
"""

import errno
import os
import re
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from .._core import frame
from .._core.bulk import MappedFile
from ..errors import SegmentError
from ..system import platform
from .names import Names, names_in

MEMORY, DIRECTORY = 0, 1  # where a file lies

_STRIDE_BYTES = 1 << 18  # copied, summed and written while it is in the cache
_SPARE = 16  # one part in so many of shared memory is left for lanes
_NAME = re.compile(r"\.?(axds-[0-9a-f]{10,}-[0-9a-f]+)-[0-9a-f]+")


class Draft:
    """The file of a message that is not in the lane yet.

    Attributes:
        place: MEMORY or DIRECTORY.
        check: the CRC-32C of the payload as it was written.
        published: whether a record in the lane names the file; its producer sets this.
    """

    def __init__(self, path: Path, place: int, payload: memoryview) -> None:
        """Write the payload; OSError with ENOSPC if there is no room."""
        if place == MEMORY and not _has_room(len(payload)):
            raise OSError(errno.ENOSPC, f"expected {len(payload)} bytes of shared memory, got less")
        self.place = place
        self.published = False
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            self.check = _write(self._fd, payload)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file, and remove it unless a record names it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not self.published:
            self._path.unlink(missing_ok=True)


def path_of(lane: str, number: int, place: int, directory: Path | None) -> Path:
    """Return where the file of a message lies; FileNotFoundError if the queue has no log directory."""
    if place == MEMORY:
        return platform.FOLDER / f"{lane}-{number:x}"
    if directory is None:
        raise FileNotFoundError(f"expected a log directory with a message of {lane!r}, got none")
    return directory / f".{lane}-{number:x}"


def read_record(path: Path, header: bytes) -> memoryview:
    """Return the record that a file holds, under its header; SegmentError if the file can't be that record's."""
    length = int.from_bytes(header[4:8], "little")
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        size = os.fstat(fd).st_size
        if size != frame.span(length):
            raise SegmentError(f"expected {frame.span(length)} bytes in {str(path)!r}, got {size}")
        # Written, not stored in a map: a log directory may lie where there are no shared maps to write.
        _write_all(fd, memoryview(header), 0)
        return memoryview(MappedFile(fd, size))
    finally:
        os.close(fd)


def files_of(lane: str, directory: Path | None, names: Names | None = None) -> list[Path]:
    """Return the files of a lane's messages, wherever they lie; `names` are what an earlier look found."""
    names = names or Names.look(directory)
    found = [platform.FOLDER / name for name in names.memory if _lane_of(name) == lane]
    if directory is not None:
        found += [directory / name for name in names.directory if name.startswith(".") and _lane_of(name) == lane]
    return found


def left_over() -> list[Path]:
    """Return the files in shared memory whose lane is gone."""
    names = names_in(platform.FOLDER)
    return [platform.FOLDER / name for name in sorted(names) if (lane := _lane_of(name)) and lane not in names]


def left_in(directory: Path, names: Iterable[str], memory: Collection[str]) -> list[Path]:
    """Return the files of large messages in a log directory whose lane a restart of the machine took.

    Args:
        directory: The log directory.
        names: What lies in it.
        memory: What lies in shared memory.

    Returns:
        Those that are older than this boot and name a lane that is gone.
    """
    found = [directory / name for name in names if (lane := _lane_of(name)) and lane not in memory]
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else 0.0
    return [path for path in found if path.stat().st_mtime < booted_s]


def remove(paths: Iterable[Path]) -> None:
    """Remove files; those of other users stay."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except PermissionError:
            continue


def _lane_of(name: str) -> str | None:
    found = _NAME.fullmatch(name)
    return found[1] if found else None


def _write(fd: int, payload: memoryview) -> int:
    """Write a payload behind the room of its header; return the check of what was written, though others change it."""
    check, position = 0, frame.RECORD_BYTES
    buffer = bytearray(min(_STRIDE_BYTES, len(payload)))
    for start in range(0, len(payload), _STRIDE_BYTES):
        part = memoryview(buffer)[: min(_STRIDE_BYTES, len(payload) - start)]
        part[:] = payload[start : start + len(part)]
        check = frame.crc32c(part, check)
        position += _write_all(fd, part, position)
    os.ftruncate(fd, frame.span(len(payload)))
    return check


def _write_all(fd: int, data: memoryview, position: int) -> int:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], position + done)
    return done


def _has_room(size_bytes: int) -> bool:
    room = os.statvfs(platform.FOLDER)
    return room.f_bavail * room.f_frsize - size_bytes >= room.f_blocks * room.f_frsize // _SPARE
