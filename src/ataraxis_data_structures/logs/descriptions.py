"""What a source is: its name, the type, shape, rate and unit of its values, kept beside its messages.

A description that a logger was given is the file `.axds-source-SESSION-CODE.json` of the log directory from then on;
assembly moves it into the archive of its source, with the session that it belongs to.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..system.atomic import replace_file
from ..system.disk import read_record_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

_NAME = re.compile(r"\.axds-source-([0-9a-f]{16})-(\d{1,3})\.json")


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """What the messages of a source are, as `DataLogger.source` was told."""

    code: int
    """The source_id of its messages, 0 to 255."""
    name: str = ""
    type: Any = "|u1"
    """The data type as a .npy header spells it: a string, or a list of fields."""
    shape: tuple[int, ...] = ()
    """Of the array in each message; () is one value."""
    rate_hz: float | None = None
    unit: str = ""
    onset_us: int = 0
    """When the clock of the session was 0 (UTC, microseconds)."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What else the program said of the source."""

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The data type of the values."""
        from numpy.lib import format as npy  # noqa: PLC0415 the logger process needs no numpy

        return npy.descr_to_dtype(_as_descr(self.type))

    @property
    def size_bytes(self) -> int:
        """How many bytes a message of the source has."""
        size = int(self.dtype.itemsize)
        for length in self.shape:
            size *= length
        return size

    def document(self) -> dict[str, Any]:
        """Return the description as JSON has it."""
        found = {name: getattr(self, name) for name in self.__slots__}
        found["shape"] = list(self.shape)
        return {name: value for name, value in found.items() if value or name in ("code", "shape")}


def describe(
    code: int,
    *,
    name: str,
    dtype: "DTypeLike",
    shape: tuple[int, ...] | int,
    rate_hz: float | None,
    unit: str,
    onset_us: int,
    metadata: Mapping[str, Any],
) -> SourceDescription:
    """Return the description that a program gives of a source; TypeError or ValueError for what no message can be."""
    import numpy as np  # noqa: PLC0415 as above
    from numpy.lib import format as npy  # noqa: PLC0415

    if isinstance(code, bool) or not 0 <= int(code) <= 255:
        raise ValueError(f"expected a source from 0 to 255, got {code}")
    wanted = np.dtype(dtype)
    if wanted.hasobject or not wanted.itemsize or wanted.subdtype:
        raise TypeError(f"expected a dtype of a fixed size and without objects, got {wanted}")
    lengths = (shape,) if isinstance(shape, int) else tuple(int(length) for length in shape)
    if any(length < 1 for length in lengths):
        raise ValueError(f"expected a shape of lengths from 1 on, got {lengths}")
    if rate_hz is not None and not 0 < rate_hz < float("inf"):
        raise ValueError(f"expected a rate above 0 Hz, got {rate_hz}")
    return SourceDescription(
        int(code), str(name) or str(code), npy.dtype_to_descr(wanted), lengths,
        None if rate_hz is None else float(rate_hz), str(unit), onset_us, dict(metadata),
    )  # fmt: skip


def description_of(document: object) -> SourceDescription | None:
    """Return the description that a document holds; None if it is something else."""
    if not isinstance(document, dict) or not isinstance(document.get("code"), int):
        return None
    known = {name: document[name] for name in SourceDescription.__slots__ if name in document}
    try:
        known["shape"] = tuple(int(length) for length in known.get("shape", ()))
        known["metadata"] = dict(known.get("metadata", {}))
        known["type"] = _as_descr(known.get("type", "|u1"))
        found = SourceDescription(**known)
    except (TypeError, ValueError):
        return None
    return found if found.code in range(256) else None


def _as_descr(kind: Any) -> Any:
    """Return the type as numpy spells it: JSON has lists where a field is a tuple."""
    if isinstance(kind, str):
        return kind
    return [
        (tuple(one[0]) if isinstance(one[0], list) else one[0], _as_descr(one[1]), *map(tuple, one[2:])) for one in kind
    ]


# ---- the files of a log directory


def description_path(directory: Path, session: str, code: int) -> Path:
    """Return where the description of a source lies until its messages are in an archive."""
    return directory / f".axds-source-{session}-{code}.json"


def write_description(directory: Path, session: str, description: SourceDescription) -> None:
    """Put a description into a log directory, in place of an older one, synced."""
    data = json.dumps(description.document()).encode()
    replace_file(description_path(directory, session, description.code), data)


def read_descriptions(directory: Path) -> dict[str, dict[int, SourceDescription]]:
    """Return session -> source -> description for those that lie in a directory; damaged ones do not."""
    read: dict[str, dict[int, SourceDescription]] = {}
    for session, code, name in _listed(directory):
        try:
            found = description_of(json.loads(read_record_file(directory / name)))
        except (OSError, ValueError):
            continue
        if found is not None and found.code == code:
            read.setdefault(session, {})[code] = found
    return read


def description_names(directory: Path, session: str) -> list[str]:
    """Return the names of the files in which a session described its sources."""
    return sorted(name for found, _, name in _listed(directory) if found == session)


def _listed(directory: Path) -> Iterator[tuple[str, int, str]]:
    for name in os.listdir(directory):  # noqa: PTH208 names are enough
        if found := _NAME.fullmatch(name):
            yield found[1], int(found[2]), name
