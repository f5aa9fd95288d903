"""A source that says what it records: its arrays go into the log with the time of the session's one clock."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._core.frame import LogPackage
from ..._core.producer import Stamper
from ...memory.queue import LogQueue
from ..descriptions import SourceDescription
from .running import run_loop

_ONSET_BYTES = 8
_NAP_S = 0.001


class LogSource(Stamper):
    """The producer's end of a described source; `DataLogger.source` makes it, and any process may be given it.

    `put` and `loan` stamp what they take with the microseconds since the onset of the session, on a clock that all
    processes of the machine share.
    """

    def __init__(self, queue: LogQueue, description: SourceDescription, started_ns: int) -> None:
        """Make the end of a source whose clock was 0 at `started_ns` of the monotonic clock."""
        example = np.empty(description.shape, description.dtype)
        super().__init__(queue, description.code, started_ns, example)
        self._queue = queue
        self._started_ns = started_ns
        self.description = description
        self.dtype: np.dtype[Any] = example.dtype
        self.shape = description.shape
        self._lent = threading.Lock()

    def __repr__(self) -> str:
        told = self.description
        return f"LogSource(code={told.code}, name={told.name!r}, dtype={self.dtype}, shape={self.shape})"

    def __reduce__(self) -> tuple[Any, ...]:
        return LogSource, (self._queue, self.description, self._started_ns)

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.description.name

    def put_many(self, arrays: ArrayLike, times_us: ArrayLike) -> None:
        """Hand many arrays to the logger, as `LogQueue.put_many` does.

        Args:
            arrays: Shape `(count, *shape)`, of the source's dtype.
            times_us: Shape (count,): microseconds since the onset of the session, from 1 on.

        Raises:
            TypeError, ValueError: The arrays are of another type or shape, or a time is 0.
            queue.Full: The lane stayed full; `accepted` of the error tells how many were taken.
        """
        rows = np.ascontiguousarray(arrays)
        if rows.dtype != self.dtype:
            raise TypeError(f"expected arrays of {self.dtype}, got {rows.dtype}")
        if rows.shape[1:] != self.shape:
            raise ValueError(f"expected arrays of the shape {self.shape}, got {rows.shape[1:]}")
        times = np.asarray(times_us)
        if len(times) and not times.min():
            raise ValueError("expected times from 1 us after the onset on, got 0, which is the onset's own")
        self._queue.put_many(self.code, times, rows.reshape(len(rows), -1).view(np.uint8))

    @contextmanager
    def loan(self, time_us: int | None = None, timeout: float | None = None) -> Iterator[NDArray[Any]]:
        """Lend the memory of the next message, to be filled in place: no copy is made.

        The message is put when the block ends, with the time of its beginning; if the block raises or the process
        dies, there was none. The array is read-only afterwards, and must not be kept. A process has one loan of a
        source at a time; other puts, also of this source, go on meanwhile. An array of more than half a lane is
        copied after all.

        Args:
            time_us: Microseconds since the onset of the session; None for the time at which the block begins.
            timeout: For how many seconds to wait for room; None for what the logger was made with.

        Returns:
            A context manager of an array of the source's shape and dtype, whose values are undefined.

        Raises:
            RuntimeError: The process has a loan of the source already.
            queue.Full: There was no room in time.
        """
        stamp = self.elapsed_us() if time_us is None else int(time_us)
        if stamp < 1:
            raise ValueError("expected a time from 1 us after the onset on, got 0, which is the onset's own")
        if not self._lent.acquire(blocking=False):
            raise RuntimeError(f"expected one loan of the source {self.name!r} at a time, got a second one")
        try:
            yield from self._lend(stamp, timeout)
        finally:
            self._lent.release()

    def _lend(self, stamp: int, timeout: float | None) -> Iterator[NDArray[Any]]:
        size = self.description.size_bytes
        if not self._queue.lends(self.code, size, timeout):
            values: NDArray[Any] = np.empty(self.shape, self.dtype)
            yield values
            self.put(values, stamp, timeout=timeout)
            return
        lent = self._queue.lend(self.code, size, timeout)
        if lent is None:  # dropped, and counted
            yield np.empty(self.shape, self.dtype)
            return
        values = np.frombuffer(lent.memory, self.dtype).reshape(self.shape)
        yield values
        values.flags.writeable = False
        lent.publish(stamp)

    def running(self, rate_hz: float | None = None, duration_s: float | None = None) -> Iterator[float]:
        """Yield the seconds since the loop began, until Ctrl-C, the end of the logger, or the end of the duration.

        Args:
            rate_hz: How often a second to yield; None for as often as the loop asks.
            duration_s: When to end; None for never.
        """
        return run_loop(self._queue, rate_hz, duration_s)

    def _converted(self, values: Any) -> NDArray[np.uint8]:
        given = np.asarray(values)
        if given.dtype != self.dtype:
            given = _without_loss(given, self.dtype, is_array=isinstance(values, np.ndarray | np.generic))
        if given.shape != self.shape:
            raise ValueError(f"expected an array of the shape {self.shape} for {self.name!r}, got {given.shape}")
        return np.ascontiguousarray(given).reshape(-1).view(np.uint8)


def _without_loss(given: NDArray[Any], wanted: np.dtype[Any], *, is_array: bool) -> NDArray[Any]:
    """Return an array in the wanted byte order, or plain numbers as the wanted type if it can hold them."""
    if given.dtype.newbyteorder("=") == wanted.newbyteorder("="):
        return given.astype(wanted)
    is_float = given.dtype.kind in "iuf" and wanted.kind in "fc"
    if not is_array and (is_float or (given.dtype.kind in "iub" and wanted.kind in "iub")):
        with np.errstate(over="ignore"):
            found = given.astype(wanted)
        if is_float or np.array_equal(found, given):
            return found
        raise OverflowError(f"expected what {wanted} can hold, got {given.tolist()}")
    raise TypeError(f"expected an array of {wanted}, got {given.dtype}")


class SourceTable:
    """The described sources of one DataLogger, and the onset of their clock."""

    def __init__(self) -> None:
        # Read between two looks at the clock that goes on: at most half their distance wrong.
        before_ns, self.onset_us, after_ns = time.monotonic_ns(), time.time_ns() // 1000, time.monotonic_ns()
        self.started_ns = (before_ns + after_ns) // 2
        self._known: dict[int, LogSource] = {}
        self._told: set[int] = set()

    def add(self, queue: LogQueue, description: SourceDescription) -> LogSource:
        """Return a new source; ValueError for a number or a name that has another."""
        for known in self._known.values():
            if known.description == description:
                return known
            if description.code == known.code or description.name == known.name:
                raise ValueError(
                    f"expected one source {description.code} and one {description.name!r}, got another beside {known}"
                )
        source = self._known[description.code] = LogSource(queue, description, self.started_ns)
        return source

    def put_onsets(self, queue: LogQueue) -> None:
        """Put the onset of each source that has none yet, unless nothing drains a full lane yet."""
        onset = np.frombuffer(self.onset_us.to_bytes(_ONSET_BYTES, "little"), np.uint8)
        for code in self._known.keys() - self._told:
            while queue.full():  # never dropped, whatever the queue does with messages
                if queue.state not in ("running", "restarting"):
                    return
                time.sleep(_NAP_S)
            queue.put(LogPackage(np.uint8(code), np.uint64(0), onset))
            self._told.add(code)

    @property
    def onsets(self) -> int:
        """How many onsets were put."""
        return len(self._told)
