"""Whole messages out of archives that were cut: members lie one behind another, each under a header of its own."""

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..._core import npz
from ..._core.bulk import MappedFile, syncfs

_MAGIC = b"PK\3\4"
_HEAD_BYTES = 30
_IN_EXTRA = 0xFFFFFFFF  # a size that stands in the zip64 field


def cut_archives(directory: Path, names: Iterable[str]) -> list[Path]:
    """Return those of the archives of a log directory that have no whole directory of entries at their end."""
    return [directory / name for name in sorted(names) if _is_cut(directory / name)]


def rescue(archive: Path) -> Counter[int]:
    """Make the message files of the whole members of a cut archive, then set it aside as `NAME.damaged`.

    Returns:
        Source -> messages that are files now.

    Raises:
        OSError: There is no room for them; the archive stays as it is.
    """
    rescued: Counter[int] = Counter()
    for source, time, data in _members(memoryview(_mapped(archive))):
        if _make(archive.parent, source, time, data):
            rescued[source] += 1
    folder = os.open(archive.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(folder)
    finally:
        os.close(folder)
    archive.rename(archive.with_name(f"{archive.name}.damaged"))
    return rescued


def _is_cut(path: Path) -> bool:
    try:
        if path.is_file():
            npz.Directory(_mapped(path))
    except OSError:  # who reads the archive says why it cannot
        return False
    except ValueError:
        return True
    return False


def _mapped(path: Path) -> MappedFile | bytes:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return MappedFile(file.fileno(), size) if size else b""


def _members(whole: memoryview) -> Iterator[tuple[int, int, bytes]]:
    """Yield source, time and file of each whole message, up to the first byte that is no member's."""
    at = 0
    while bytes(whole[at : at + len(_MAGIC)]) == _MAGIC and len(whole) - at >= _HEAD_BYTES:
        head = bytes(whole[at : at + _HEAD_BYTES])
        crc, size, name_bytes, extra_bytes = (
            int.from_bytes(head[start:stop], "little") for start, stop in ((14, 18), (18, 22), (26, 28), (28, 30))
        )
        start = at + _HEAD_BYTES + name_bytes
        if size == _IN_EXTRA:  # of the zip64 field: its id and length, the size unpacked, the size
            size = int.from_bytes(whole[start + 12 : start + 20], "little")
        name = bytes(whole[at + _HEAD_BYTES : start])
        start += extra_bytes
        at = start + size
        if at > len(whole):
            return
        is_stored = not int.from_bytes(head[8:10], "little")
        parsed = npz.parse_name(name.decode(errors="replace").removesuffix(".npy"))
        if is_stored and parsed is not None and zlib.crc32(whole[start:at]) == crc:
            data = bytes(whole[start:at])
            if npz.array_items(data) is not None:
                yield parsed[0], parsed[1], data


def _make(directory: Path, source: int, time: int, data: bytes) -> bool:
    """Give a message its file under the first free name; False if a file holds it already."""
    repeat = 0
    while (path := directory / npz.file_name(source, time, repeat)).exists():
        if path.read_bytes() == data:
            return False
        repeat += 1
    aside = path.with_name(f".{path.name}.tmp")
    try:
        aside.write_bytes(data)
        aside.rename(path)
    except BaseException:
        with suppress(FileNotFoundError):
            aside.unlink()
        raise
    return True
