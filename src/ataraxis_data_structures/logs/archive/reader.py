"""Log archives, read: messages with absolute times, one by one, in batches, or as arrays."""

import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..._core import npz
from ...system.cpus import resolve_workers
from ..descriptions import SourceDescription
from ..sessions import LogSession
from .arrays import payload_matrix, payload_sizes
from .index import Contents
from .notes import read_notes
from .typed import columns_of, records_by_code, typed_arrays
from .verify import EntryFault, find_faults

PARALLEL_PROCESSING_THRESHOLD = 2000
"""Below this number of messages an archive is one batch: more would cost more than they bring."""

_ONSET_BYTES = 8


@dataclass(frozen=True, slots=True)
class LogMessage:
    """One message of an archive: when it was acquired (UTC, microseconds) and its bytes."""

    timestamp_us: np.uint64
    payload: NDArray[np.uint8]


_new_message = object.__new__
_set_timestamp = LogMessage.__dict__["timestamp_us"].__set__
_set_payload = LogMessage.__dict__["payload"].__set__


def _message(timestamp_us: np.uint64, payload: NDArray[np.uint8]) -> LogMessage:
    message = _new_message(LogMessage)  # a frozen dataclass takes three times as long to make itself
    _set_timestamp(message, timestamp_us)
    _set_payload(message, payload)
    return message


class LogArchiveReader:
    """Reads one log archive in place.

    The onset (UTC, microseconds) is that of the first message with time 0 unless `onset_us` gives it; the messages
    are those behind it, in the order of the archive. Without an onset everything that needs one is a ValueError; a
    damaged or foreign archive is an ArchiveError (also a ValueError). `memory_mapping=False` reads the whole file
    into memory at first use: for network file systems, where a file that is cut meanwhile would end the process.
    """

    def __init__(
        self, archive_path: Path, onset_us: np.uint64 | int | None = None, *, memory_mapping: bool = True
    ) -> None:
        self._path = Path(archive_path)
        self._onset_us = onset_us
        self._memory_mapping = memory_mapping
        if not self._path.exists():
            raise FileNotFoundError(f"expected a log archive at {archive_path}, found nothing")

    def __repr__(self) -> str:
        onset = "not discovered" if self._onset_us is None else self._onset_us
        return f"LogArchiveReader(archive_path={self._path}, onset_us={onset})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self._path, self._onset_us, self._memory_mapping)

    @property
    def onset_timestamp_us(self) -> np.uint64:
        """The onset of the archive's session, as given or as its first message with time 0 says."""
        return self._found_onset[1] if self._onset_us is None else self._onset_us  # type: ignore[return-value]  # as given

    @property
    def message_count(self) -> int:
        """How many messages follow the onset message."""
        return len(self._contents) - self._first

    @property
    def archive_path(self) -> Path:
        """The archive that is read."""
        return self._path

    @cached_property
    def timestamps(self) -> NDArray[np.uint64]:
        """The times of all messages (UTC, microseconds), as their names in the archive's directory say; read-only.

        `verify` holds the names against the stored times.
        """
        times = self._contents.times[self._first :] + self._onset
        times.flags.writeable = False
        return times

    @cached_property
    def payload_sizes(self) -> NDArray[np.uint64]:
        """How many bytes each message has; read-only."""
        sizes = payload_sizes(self._contents, self._all)
        sizes.flags.writeable = False
        return sizes

    @cached_property
    def sessions(self) -> tuple[LogSession, ...]:
        """The sessions whose messages the archive holds, in the order of their beginning, as its comment tells.

        None are known of an archive that another library wrote, or from message files without a record.
        """
        return read_notes(self._path, self._contents.bytes).sessions

    @property
    def session(self) -> LogSession | None:
        """The first of `sessions`: id, host, versions and the metadata that its DataLogger was given."""
        return self.sessions[0] if self.sessions else None

    @property
    def source(self) -> SourceDescription | None:
        """What the source said of itself (`DataLogger.source`): name, dtype, shape, rate, unit, metadata."""
        return next((source for session in self.sessions for source in session.sources.values()), None)

    @property
    def drops(self) -> int:
        """How many messages of this source a full lane refused (overflow "drop_newest")."""
        return sum(count for session in self.sessions for count in session.dropped.values())

    def gaps(self, factor: float = 5.0) -> NDArray[np.uint64]:
        """Return the intervals between messages that are longer than `factor` median intervals.

        Args:
            factor: How many median intervals an interval must exceed.

        Returns:
            Shape (gaps, 2), dtype uint64: the time (UTC, microseconds) of the message before each gap, and the length
            of the gap in microseconds.
        """
        times = np.sort(self.timestamps)  # an archive of another program may be in any order
        intervals = np.diff(times)
        positive = intervals[intervals > 0]
        if not len(positive):
            return np.zeros((0, 2), np.uint64)
        limit = factor * (float(np.median(intervals)) or float(np.median(positive)))
        long = np.flatnonzero(intervals > limit)
        return np.column_stack([times[long], intervals[long]])

    def __len__(self) -> int:
        return self.message_count

    @overload
    def __getitem__(self, index: int) -> LogMessage: ...
    @overload
    def __getitem__(self, index: slice) -> list[LogMessage]: ...
    def __getitem__(self, index: int | slice) -> LogMessage | list[LogMessage]:
        if isinstance(index, slice):
            return list(self._iterate(self._all[index]))
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"expected a message below {len(self)}, got {number}")
        return next(self._iterate(self._all[[number]]))

    def between(self, start_us: int, end_us: int) -> Iterator[LogMessage]:
        """Yield the messages from one time on and before another (UTC, microseconds)."""
        times = self.timestamps
        if self._contents.sorted and (not len(times) or times[0] <= times[-1]):
            first, last = np.searchsorted(times, np.array([_clipped(start_us), _clipped(end_us)], np.uint64))
            return self._iterate(self._all[int(first) : int(last)])
        chosen = (times >= np.uint64(_clipped(start_us))) & (times < np.uint64(_clipped(end_us)))
        return self._iterate(self._all[chosen])

    def iter_range(self, start: int, stop: int) -> Iterator[LogMessage]:
        """Yield the messages from one position on and before another."""
        return self._iterate(self._all[start:stop])

    def payload_views(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the payloads without a copy, read-only; their CRC-32 is not checked."""
        for _, views in self._contents.messages(self._all, check=False):
            yield from views

    def matrix(self, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """Return payloads of equal size as the rows of one array, of (messages, items per message).

        Bytes are a read-only view of the archive where rows have 1,024 or more; else it is a copy. Their CRC-32 is not
        checked. ArchiveError if the sizes differ, ValueError if they don't hold whole items.
        """
        return payload_matrix(self._contents, self._all, dtype)

    def arrays(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return messages as their source declared them.

        Args:
            start: The position of the first message.
            stop: The position behind the last one; None for all.

        Returns:
            Shape `(messages, *source.shape)`, of the source's dtype, in the order of `timestamps`. A read-only view of
            the archive where its bytes lie evenly and aligned, a copy elsewhere; their CRC-32 is not checked.

        Raises:
            ValueError: The source was not described.
            ArchiveError: A message has another size.
        """
        return typed_arrays(self._contents, self._all[start:stop], self._described)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame of the messages; the extra `tables` installs what is needed.

        Returns:
            A column for each field or element of the source, and an index of times (UTC, microseconds) named "time".

        Raises:
            ValueError: The source was not described, or has more than 4,096 values a message.
        """
        import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # noqa: PLC0415 an extra

        columns = columns_of(self.timestamps, self.arrays(), self._described)
        times = pd.DatetimeIndex(columns.pop("time_us").astype("datetime64[us]"), tz="UTC", name="time")
        return pd.DataFrame({name: _native(values) for name, values in columns.items()}, index=times)

    def to_polars(self) -> Any:
        """Return a polars DataFrame of the messages: "time" (UTC, microseconds), and the columns of `to_pandas`.

        Raises:
            ValueError: The source was not described, or has more than 4,096 values a message.
        """
        import polars as pl  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 an extra

        columns = columns_of(self.timestamps, self.arrays(), self._described)
        times = pl.Series("time", columns.pop("time_us").astype(np.int64)).cast(pl.Datetime("us", "UTC"))
        return pl.DataFrame([times, *(pl.Series(name, _native(values)) for name, values in columns.items())])

    def records(self, types: Mapping[int, DTypeLike]) -> dict[int, NDArray[Any]]:
        """Return the messages of a source that mixes several types, told apart by their first byte.

        Args:
            types: First byte -> the dtype of the bytes behind it, structured or plain.

        Returns:
            First byte -> a structured array of its messages: the field `time_us` (UTC, microseconds), then the fields
            of the dtype, or one named `value`. Messages with another first byte are passed over.

        Raises:
            ArchiveError: A message has another length than its type asks for.
        """
        return records_by_code(self._contents, self._all, self.timestamps, types)

    def verify(self) -> list[EntryFault]:
        """Check every entry, the onset's and those before it included; return those that are damaged, and how."""
        return find_faults(self._contents)

    def batch_ranges(self, workers: int = -1, batch_multiplier: int = 4) -> list[tuple[int, int]]:
        """Return the batches of `get_batches` as positions of their first and behind their last message."""
        count = self.message_count
        if not count:
            return []
        size = count
        if count >= PARALLEL_PROCESSING_THRESHOLD:
            size = math.ceil(count / max(1, resolve_workers(workers) * batch_multiplier))
        return [(start, min(start + size, count)) for start in range(0, count, size)]

    def get_batches(self, workers: int = -1, batch_multiplier: int = 4) -> list[list[str]]:
        """Return the keys of all messages, cut into at most `workers * batch_multiplier` batches of equal size.

        A positive number of workers is capped at the number of CPUs; any other means all CPUs but two. Fewer than
        PARALLEL_PROCESSING_THRESHOLD messages are one batch.
        """
        keys, first = self._contents.directory.keys, self._first
        return [keys(first + start, first + stop) for start, stop in self.batch_ranges(workers, batch_multiplier)]

    def iter_messages(self, keys: list[str] | None = None) -> Iterator[LogMessage]:
        """Yield the messages of these keys, or all; each payload is a copy of its own. KeyError for an unknown key."""
        yield from self._iterate(self._all if keys is None else self._contents.indices(keys, self._first))

    def read_all_messages(self) -> tuple[NDArray[np.uint64], list[NDArray[np.uint8]]]:
        """Return the times of all messages (UTC, microseconds) as one array, and the list of their payloads."""
        onset = self._onset
        times = np.empty(self.message_count, np.uint64)
        payloads: list[NDArray[np.uint8]] = []
        for found, views in self._contents.messages(self._all):
            times[len(payloads) : len(payloads) + len(views)] = found
            payloads.extend([view.copy() for view in views])
        times += onset
        return times, payloads

    @property
    def _described(self) -> SourceDescription:
        if self.source is None:
            raise ValueError(
                f"expected a source that its program described (DataLogger.source), got {self._path.name} without a "
                "description: matrix(dtype) reads payloads of equal size"
            )
        return self.source

    def _iterate(self, indices: NDArray[np.intp]) -> Iterator[LogMessage]:
        onset = self._onset
        for times, payloads in self._contents.messages(indices):
            for timestamp_us, payload in zip(times + onset, payloads, strict=True):
                yield _message(timestamp_us, payload.copy())

    @cached_property
    def _contents(self) -> Contents:
        return Contents(self._path, memory_mapping=self._memory_mapping)

    @cached_property
    def _found_onset(self) -> tuple[int, np.uint64]:
        """The entry of the onset message, and the onset."""
        contents = self._contents
        named = contents.rows["kind"] & npz.OURS
        for index in np.flatnonzero((contents.rows["time"] == 0) | (named == 0)).tolist():
            time, payload = contents.message(index)
            if time:
                continue
            if len(payload) != _ONSET_BYTES:
                key = contents.directory.key(index)
                raise contents.error(f"{key}: expected {_ONSET_BYTES} bytes of onset at time 0, got {len(payload)}")
            return index, np.frombuffer(payload.tobytes(), "<u8")[0]
        if self.source is not None and self.source.onset_us:  # its program was killed before it could put the onset
            return -1, np.uint64(self.source.onset_us)
        raise contents.error("expected a message with time 0 that holds the onset, found none")

    @cached_property
    def _first(self) -> int:
        """The first entry behind the onset message."""
        if self._onset_us is None:
            return self._found_onset[0] + 1
        zeros = np.flatnonzero(self._contents.rows["kind"] & npz.ZERO)
        return int(zeros[0]) + 1 if len(zeros) else 0

    @property
    def _onset(self) -> np.uint64:
        return np.uint64(int(self.onset_timestamp_us) % 2**64)

    @cached_property
    def _all(self) -> NDArray[np.intp]:
        return np.arange(self._first, len(self._contents), dtype=np.intp)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in the byte order of this machine, side by side, as tables want them."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _clipped(time_us: int) -> int:
    return min(max(int(time_us), 0), 2**64 - 1)


def _reopened(path: Path, onset_us: np.uint64 | int | None, memory_mapping: bool) -> LogArchiveReader:  # noqa: FBT001  # as pickled
    return LogArchiveReader(path, onset_us, memory_mapping=memory_mapping)
