"""What the live page shows: the logger's statistics, the disk, and a picture or trace of each described source."""

import base64
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....logs.descriptions import SourceDescription, read_descriptions
from ....logs.journal.latest import LatestMessages
from ....logs.logger.statistics import statistics_of
from ....logs.sessions import session_id
from ....memory.queue import LogQueue
from ....system import platform

_TRACE_MESSAGES = 300
_MOST_CHANNELS = 8
_PICTURE_WIDTH, _PICTURE_HEIGHT = 480, 360


class LiveLog:
    """A logger that runs, as the page shows it; shared memory and files are only read."""

    def __init__(self, directory: Path, queue: LogQueue) -> None:
        self.directory = directory
        self.queue = queue
        self._latest = LatestMessages(directory, queue.id, count=_TRACE_MESSAGES, largest_bytes=self._largest())

    @property
    def ended(self) -> bool:
        """Whether the logger is gone."""
        return not (platform.FOLDER / self.queue.name).exists()

    def document(self) -> dict[str, Any]:
        """Return all figures of now."""
        statistics = statistics_of(self.queue)
        described = self._described()
        self._latest.refresh()
        disk = shutil.disk_usage(self.directory)
        return {
            "directory": str(self.directory),
            "ended": self.ended,
            "clock_s": time.monotonic(),
            "statistics": asdict(statistics),
            "disk": {"free_bytes": disk.free, "total_bytes": disk.total},
            "sources": [self._source(code, described.get(code)) for code in sorted({*described, *statistics.sources})],
        }

    def _described(self) -> dict[int, SourceDescription]:
        return read_descriptions(self.directory).get(session_id(self.queue.id), {})

    def _largest(self) -> int:
        return max((source.size_bytes for source in self._described().values()), default=0)

    def _source(self, code: int, told: SourceDescription | None) -> dict[str, Any]:
        found: dict[str, Any] = {"code": code, "name": told.name if told else str(code), "preview": None}
        if told is None:
            return found
        messages = [one for one in self._latest.messages.get(code, ()) if len(one[1]) == told.size_bytes]
        return found | {
            "unit": told.unit,
            "rate_hz": told.rate_hz,
            "dtype": str(told.dtype),
            "shape": list(told.shape),
            "preview": _preview(told, messages) if messages else None,
        }


def _preview(told: SourceDescription, messages: Sequence[tuple[int, bytes]]) -> dict[str, Any] | None:
    kind = told.dtype
    if kind == np.uint8 and len(told.shape) == 2:
        return _picture(np.frombuffer(messages[-1][1], kind).reshape(told.shape), messages[-1][0])
    values = np.frombuffer(b"".join(payload for _, payload in messages), kind).reshape(len(messages), *told.shape)
    channels = _channels(told.name, values)
    if not channels:
        return None
    return {
        "kind": "trace",
        "times_s": [time_us / 1e6 for time_us, _ in messages],
        "channels": [{"name": name, "values": [_finite(value) for value in one.tolist()]} for name, one in channels],
    }


def _picture(frame: NDArray[np.uint8], time_us: int) -> dict[str, Any]:
    height, width = frame.shape
    step = max(math.ceil(height / _PICTURE_HEIGHT), math.ceil(width / _PICTURE_WIDTH), 1)
    small = np.ascontiguousarray(frame[::step, ::step])
    return {
        "kind": "picture",
        "time_s": time_us / 1e6,
        "height": small.shape[0],
        "width": small.shape[1],
        "pixels": base64.b64encode(small.tobytes()).decode(),
    }


def _channels(name: str, values: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    """Return the first few elements or fields of messages, each as a series of numbers."""
    if values.dtype.names is not None:
        found = [pair for part in values.dtype.names for pair in _channels(part, values[part])]
        return found[:_MOST_CHANNELS]
    if values.dtype.kind not in "biuf":
        return []
    flat = values.reshape(len(values), -1)[:, :_MOST_CHANNELS]
    if flat.shape[1] == 1:
        return [(name, flat[:, 0])]
    return [(f"{name}_{at}", flat[:, at]) for at in range(flat.shape[1])]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
