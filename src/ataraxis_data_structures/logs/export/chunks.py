"""The messages of an archive some MiB at a time, as bytes or as their source declared them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..archive.reader import LogArchiveReader, LogMessage
from ..descriptions import SourceDescription

# What is held in memory at a time: a format's library makes two or three copies of it.
MESSAGES_AT_ONCE = 8192
BYTES_AT_ONCE = 16 * 2**20


def message_chunks(reader: LogArchiveReader) -> Iterator[list[LogMessage]]:
    """Yield the messages in lists of some MiB."""
    some: list[LogMessage] = []
    size = 0
    for message in reader.iter_messages():
        if some and (size + message.payload.size > BYTES_AT_ONCE or len(some) == MESSAGES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(message)
        size += message.payload.size
    if some:
        yield some


def typed_chunks(
    reader: LogArchiveReader, source: SourceDescription
) -> Iterator[tuple[NDArray[np.uint64], NDArray[Any]]]:
    """Yield times (UTC, microseconds) and the arrays of a described source, some MiB at a time."""
    step = max(1, min(MESSAGES_AT_ONCE, BYTES_AT_ONCE // source.size_bytes))
    times = reader.timestamps
    for start in range(0, len(times), step):
        yield times[start : start + step], reader.arrays(start, start + step)


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Tell whether values are booleans, whole numbers or floats: what every format holds."""
    return dtype.kind in "biuf" and not (dtype.kind == "f" and dtype.itemsize > np.dtype(np.float64).itemsize)
