"""Log archives, read: messages with absolute times, one by one, in batches, or as arrays."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._core import zipdir
from .contents import Contents
from .workers import resolve_workers

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

    def get_batches(self, workers: int = -1, batch_multiplier: int = 4) -> list[list[str]]:
        """Return the keys of all messages, cut into at most `workers * batch_multiplier` batches of equal size.

        A positive number of workers is capped at the number of CPUs; any other means all CPUs but two. Fewer than
        PARALLEL_PROCESSING_THRESHOLD messages are one batch.
        """
        count = self.message_count
        if not count:
            return []
        size = count
        if count >= PARALLEL_PROCESSING_THRESHOLD:
            size = math.ceil(count / max(1, resolve_workers(workers) * batch_multiplier))
        keys = self._contents.directory.keys
        starts = range(self._first, len(self._contents), size)
        return [keys(start, min(start + size, len(self._contents))) for start in starts]

    def iter_messages(self, keys: list[str] | None = None) -> Iterator[LogMessage]:
        """Yield the messages of these keys, or all; each payload is a copy of its own. KeyError for an unknown key."""
        onset = self._onset
        indices = self._all if keys is None else self._contents.indices(keys, self._first)
        for times, payloads in self._contents.messages(indices):
            for timestamp_us, payload in zip(times + onset, payloads, strict=True):
                yield _message(timestamp_us, payload.copy())

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

    @cached_property
    def _contents(self) -> Contents:
        return Contents(self._path, memory_mapping=self._memory_mapping)

    @cached_property
    def _found_onset(self) -> tuple[int, np.uint64]:
        """The entry of the onset message, and the onset."""
        contents = self._contents
        named = contents.rows["kind"] & zipdir.OURS
        for index in np.flatnonzero((contents.rows["time"] == 0) | (named == 0)).tolist():
            time, payload = contents.message(index)
            if time:
                continue
            if len(payload) != _ONSET_BYTES:
                key = contents.directory.key(index)
                raise contents.error(f"{key}: expected {_ONSET_BYTES} bytes of onset at time 0, got {len(payload)}")
            return index, np.frombuffer(payload.tobytes(), "<u8")[0]
        raise contents.error("expected a message with time 0 that holds the onset, found none")

    @cached_property
    def _first(self) -> int:
        """The first entry behind the onset message."""
        if self._onset_us is None:
            return self._found_onset[0] + 1
        zeros = np.flatnonzero(self._contents.rows["kind"] & zipdir.ZERO)
        return int(zeros[0]) + 1 if len(zeros) else 0

    @property
    def _onset(self) -> np.uint64:
        return np.uint64(int(self.onset_timestamp_us) % 2**64)

    @property
    def _all(self) -> NDArray[np.intp]:
        return np.arange(self._first, len(self._contents), dtype=np.intp)


def _reopened(path: Path, onset_us: np.uint64 | int | None, memory_mapping: bool) -> LogArchiveReader:  # noqa: FBT001  # as pickled
    return LogArchiveReader(path, onset_us, memory_mapping=memory_mapping)
