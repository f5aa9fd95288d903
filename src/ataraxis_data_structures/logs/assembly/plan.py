"""What one archive will hold: the members of all that goes into it, in order, each under a name of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npz

MEMBER = np.dtype(npz.MEMBER)


@dataclass
class Part:
    """Members of one origin, in their order.

    `names` has, by row, the names (with `.npy`) of those not named after source, time and repeat; `read` returns the
    .npy file of a member, `origin` says in words where it comes from.
    """

    rows: NDArray[Any]
    read: Callable[[np.void], Any]
    origin: Callable[[np.void], str]
    names: dict[int, str] = field(default_factory=dict)


@dataclass
class Plan:
    """All members of an archive in its order; `volumes` are the buffers that the core packs from."""

    source: int
    rows: NDArray[Any]
    names: dict[int, str]
    volumes: list[Any]
    _parts: list[Part]
    _part_of: NDArray[np.uint8]
    comment: bytes = b""
    """What the zip file's comment says."""
    sidecar: bytes = b""
    """What has no room there."""

    def name(self, index: int) -> str:
        """Return the name of a member in the archive."""
        row = self.rows[index]
        known = self.names.get(index)
        return known or npz.file_name(int(row["source"]), int(row["time"]), int(row["repeat"]))

    def origin(self, index: int) -> str:
        """Return where a member comes from, for people."""
        return self._part(index).origin(self.rows[index])

    def read(self, index: int) -> Any:
        """Return the .npy file of a member."""
        return self._part(index).read(self.rows[index])

    def _part(self, index: int) -> Part:
        return self._parts[int(self._part_of[index])]


def make_plan(source: int, parts: list[Part], volumes: list[Any]) -> Plan:
    """Order the members of all parts by time, equal ones in the order of the parts, and tell their names apart."""
    rows = np.concatenate([part.rows for part in parts]) if len(parts) != 1 else parts[0].rows
    part_of = np.repeat(np.arange(len(parts), dtype=np.uint8), [len(part.rows) for part in parts])
    names = {}
    for offset, part in zip(np.cumsum([0, *(len(part.rows) for part in parts)]).tolist(), parts, strict=False):
        names.update({offset + index: name for index, name in part.names.items()})
    if len(parts) != 1:
        order = np.argsort(rows["time"], kind="stable")
        rows, part_of = rows[order], part_of[order]
        place = np.argsort(order) if names else order
        names = {int(place[index]): name for index, name in names.items()}
    _tell_apart(source, rows, names)
    return Plan(source, rows, names, volumes, parts, part_of)


def _tell_apart(source: int, rows: NDArray[Any], names: dict[int, str]) -> None:
    """Give a further number to each member whose name is taken by one before it."""
    times = rows["time"]
    starts = np.flatnonzero(np.concatenate(([True], times[1:] != times[:-1])))
    lengths = np.diff(np.append(starts, len(rows)))
    for start, length in zip(starts[lengths > 1].tolist(), lengths[lengths > 1].tolist(), strict=True):
        spelled: set[str] = set()
        repeats: set[int] = set()
        following = 0
        for index in range(start, start + length):
            repeat = int(rows[index]["repeat"])
            if (name := names.pop(index, None)) and name not in spelled:
                names[index] = name
                spelled.add(name)
                continue
            repeat = following if name or repeat in repeats else repeat
            repeats.add(repeat)
            following = max(following, repeat + 1)
            rows[index]["repeat"] = repeat
            if name:  # two files can't have one name, so this one meets its like in the archive
                names[index] = f"{source:03d}_{int(times[index]):020d}_{repeat}.npy"
