"""A recorded session as a whole: its described sources by name, on one clock."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import ArchiveError
from ...series import interpolate_data
from ..sessions import LogSession
from .discovery import discover_log_archives
from .reader import LogArchiveReader


class RecordedSession(Mapping[str, LogArchiveReader]):
    """The sources of a log directory by name: a mapping to a LogArchiveReader each.

    A source that was not described has its number as its name; every source is found by its number, too.
    """

    def __init__(self, directory: Path, readers: dict[str, LogArchiveReader]) -> None:
        self.directory = directory
        self._readers = readers
        self._by_code = {str(reader.archive_path.name).partition("_")[0]: reader for reader in readers.values()}

    def __getitem__(self, name: str | int) -> LogArchiveReader:
        found = self._readers.get(str(name)) or self._by_code.get(str(name))
        if found is None:
            raise KeyError(f"expected one of the sources {', '.join(self._readers)}, got {name!r}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def __contains__(self, name: object) -> bool:
        return str(name) in self._readers or str(name) in self._by_code

    def __repr__(self) -> str:
        return f"RecordedSession({str(self.directory)!r}, sources={list(self._readers)})"

    @property
    def session(self) -> LogSession | None:
        """Host, versions, times and metadata of the session; None if nothing tells of it."""
        return next((reader.session for reader in self._readers.values() if reader.session is not None), None)

    def align(
        self,
        onto: str | NDArray[Any],
        *,
        names: list[str] | None = None,
        method: Literal["auto", "previous", "linear"] = "auto",
        before: Literal["first", "nan"] | float = "first",
        after: Literal["last", "nan"] | float = "last",
    ) -> dict[str, NDArray[Any]]:
        """Return the values of sources at the times of one of them.

        Args:
            onto: The source whose times count, or times (UTC, microseconds).
            names: Which sources; all that are described, if None.
            method: "linear" between messages, "previous" for the last value known; "auto" is linear for floats, and
                previous for all else.
            before: What stands before a source's first message: its first value, NaN, or a number.
            after: What stands behind its last one: its last value, NaN, or a number.

        Returns:
            "time_us" -> shape (times,), uint64, and name -> shape `(times, *shape)` for each source. NaN makes float64
            of whole numbers.

        Raises:
            KeyError: No such source.
            ValueError: A source without a description, or without a message.
        """
        times = self[onto].timestamps if isinstance(onto, str | int) else np.asarray(onto, np.uint64)
        chosen = [name for name in self if self[name].source is not None] if names is None else names
        found: dict[str, NDArray[Any]] = {"time_us": times}
        for name in chosen:
            found[name] = _aligned(self[name], times, method, before, after)
        return found


def _aligned(
    reader: LogArchiveReader, times: NDArray[np.uint64], method: str, before: str | float, after: str | float
) -> NDArray[Any]:
    values, own = reader.arrays(), reader.timestamps
    if not len(own):
        raise ValueError(f"expected messages of {reader.archive_path.name} to align, got none")
    order = np.argsort(own, kind="stable") if (own[1:] < own[:-1]).any() else slice(None)
    own = own[order]
    left, right = (None if side in ("first", "last") else np.nan if side == "nan" else side for side in (before, after))
    is_discrete = method == "previous" or (method == "auto" and values.dtype.kind not in "fc")
    if is_discrete:
        at = np.maximum(np.searchsorted(own, times, "right").astype(np.intp) - 1, 0)
        found = values[order][at] if not isinstance(order, slice) else values[at]
        return _outside(found, times < own[0], left, times > own[-1], right)
    rows = values[order].reshape(len(own), -1)
    flat = interpolate_data(own, rows, times, is_discrete=False, left=left, right=right)
    return flat.reshape(len(times), *values.shape[1:])


def _outside(
    found: NDArray[Any], early: NDArray[np.bool_], left: Any, late: NDArray[np.bool_], right: Any
) -> NDArray[Any]:
    for where, value in ((early, left), (late, right)):
        if value is not None and where.any():
            found = found.astype(np.result_type(found.dtype, np.float64), copy=False) if np.isnan(value) else found
            found[where] = value
    return found


def open_session(directory: Path) -> RecordedSession:
    """Open all archives of a log directory as one session, its sources by name.

    Args:
        directory: A log directory whose messages are in archives (`assemble_log_archives`).

    Returns:
        The session; nothing is read before it is asked for.

    Raises:
        FileNotFoundError: There is no directory, or no archive in it.
        ArchiveError: Two sources have one name.
    """
    path = Path(directory)
    if not path.is_dir():
        raise FileNotFoundError(f"expected a log directory at {directory}, found none")
    readers: dict[str, LogArchiveReader] = {}
    for code, archive in sorted(discover_log_archives(path).items(), key=lambda found: (len(found[0]), found[0])):
        reader = LogArchiveReader(archive)
        name = reader.source.name if reader.source is not None else code
        if name in readers:
            raise ArchiveError(f"expected sources of different names in {path}, got two called {name!r}")
        readers[name] = reader
    if not readers:
        raise FileNotFoundError(
            f"expected log archives in {path}, found none: assemble_log_archives, or `axds log assemble`, makes them"
        )
    return RecordedSession(path, readers)
