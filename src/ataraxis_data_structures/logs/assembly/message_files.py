"""The message files that lie in a log directory and wait for an archive, by source."""

import mmap
import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npz
from ...errors import ArchiveError
from ..names import is_message_file
from .plan import MEMBER, Part

_NAMES_AT_ONCE = 65536
_ODD_NAME = re.compile(r"(\d+)_(\d+)(?:_[^\n/]*)?\.npy", re.ASCII)


class Files(Part):
    """The message files of one source by time, and by repeat where times are equal.

    Those not named as the logger does, but with source and time at the start, are FROM_ELSEWHERE; their `place` counts
    them in `odd`.
    """

    def __init__(self, folder: int, rows: NDArray[Any], odd: list[str], *, memory_mapping: bool) -> None:
        places = np.flatnonzero(rows["origin"] == npz.FROM_ELSEWHERE).tolist()
        super().__init__(rows, self._read, self.name, {index: odd[int(rows[index]["place"])] for index in places})
        self.odd = odd
        self._folder = folder
        self._memory_mapping = memory_mapping

    def name(self, row: np.void) -> str:
        """Return the file name of a member."""
        if row["origin"] == npz.FROM_ELSEWHERE:
            return self.odd[int(row["place"])]
        return npz.file_name(int(row["source"]), int(row["time"]), int(row["place"]))

    def all_names(self) -> Iterator[str]:
        """Yield the names of all files."""
        yield from self.odd
        rows = self.rows.view(np.uint8).reshape(-1)
        for start in range(0, len(self.rows), _NAMES_AT_ONCE):
            yield from npz.member_files(rows, start, min(start + _NAMES_AT_ONCE, len(self.rows)))

    def _read(self, row: np.void) -> Any:
        name = self.name(row)
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._folder)
        with open(fd, "rb", buffering=0) as file:  # noqa: PTH123  # relative to a folder
            status = os.fstat(fd)
            size = status.st_size
            data: Any = b""
            if stat.S_ISREG(status.st_mode):
                data = mmap.mmap(fd, size, access=mmap.ACCESS_READ) if size and self._memory_mapping else file.read()
        found = npz.array_items(data)
        if found is None or found[1] < npz.STAMP_BYTES:
            raise ArchiveError(f"{name}: expected a log message, got something else")
        return data


def list_files(folder: int, *, memory_mapping: bool) -> dict[int, Files]:
    """Return the message files of an open folder by source; ArchiveError for a .npy file that is none."""
    blocks: dict[int, list[NDArray[Any]]] = {}
    odd: dict[int, list[tuple[int, str]]] = {}
    for names in _npy_names(folder):
        room, others = npz.members_of_files(names)
        rows = np.frombuffer(room, MEMBER)
        for source in np.unique(rows["source"]).tolist():
            blocks.setdefault(source, []).append(rows[rows["source"] == source])
        for name in others:
            source, time = _odd_name(name)
            odd.setdefault(source, []).append((time, name))
    found = {}
    for source in sorted({*blocks, *odd}):
        strange = sorted(odd.get(source, []))
        rows = _ordered(blocks.pop(source, []), [time for time, _ in strange])
        found[source] = Files(folder, rows, [name for _, name in strange], memory_mapping=memory_mapping)
    return found


def _npy_names(folder: int) -> Iterator[list[str]]:
    with os.scandir(folder) as found:
        names = (entry.name for entry in found if is_message_file(entry.name))
        while some := list(islice(names, _NAMES_AT_ONCE)):
            yield some


def _odd_name(name: str) -> tuple[int, int]:
    parts = _ODD_NAME.fullmatch(name)
    if parts is None or int(parts[2]) >= 2**64:
        raise ArchiveError(f"expected files named SOURCE_TIME.npy in a log directory, found {name!r}")
    return int(parts[1]), int(parts[2])


def _ordered(blocks: list[NDArray[Any]], odd_times: list[int]) -> NDArray[Any]:
    strange = np.zeros(len(odd_times), MEMBER)
    strange["time"] = odd_times
    strange["place"] = np.arange(len(odd_times))
    strange["origin"] = npz.FROM_ELSEWHERE
    rows = np.concatenate([*blocks, strange])
    blocks.clear()  # a million messages are 40 MB here
    return rows[np.lexsort((rows["repeat"], rows["time"]))]
