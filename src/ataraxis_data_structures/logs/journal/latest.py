"""The latest messages of a log that is being written, without reading what came before them."""

from collections import deque
from pathlib import Path

from ..._core import frame
from . import layout
from .layout import HEADER_BYTES, Words
from .reader import Journal

_WINDOW_BYTES = 8 << 20
_SMALL_BYTES = 4096


class LatestMessages:
    """The last messages of each source in the journals of one queue; the log is only read."""

    def __init__(self, directory: Path, queue_id: int, *, count: int, largest_bytes: int = 0) -> None:
        """Keep up to `count` small messages of a source, or one that is large; the largest has `largest_bytes`."""
        self._directory = directory
        self._queue_id = queue_id
        self._count = count
        self._window_bytes = max(_WINDOW_BYTES, 3 * largest_bytes)
        self._done: tuple[str, int] = ("", 0)
        self.messages: dict[int, deque[tuple[int, bytes]]] = {}
        """Source -> (microseconds since the onset, payload), oldest first; the onset itself is not among them."""

    def refresh(self) -> None:
        """Take in what was written since the last call, or the end of it if that is much."""
        own = [path for path in layout.list_journals(self._directory) if self._number(path) >= 0]
        if not own:
            return
        try:
            opened = Journal(max(own, key=self._number))
        except FileNotFoundError:  # its messages have become files meanwhile
            return
        with opened as journal:
            if journal.readable:
                self._read(journal)

    def _number(self, path: Path) -> int:
        queue_id, number = layout.parse_name(path) or (0, -1)
        return number if queue_id == self._queue_id else -1

    def _read(self, journal: Journal) -> None:
        name, done = journal.path.name, HEADER_BYTES
        if self._done[0] == name:
            done = self._done[1]
        tail = int(journal.buffer[:HEADER_BYTES].cast("Q")[Words.TAIL])
        far = (tail - self._window_bytes) & ~63
        for rows in journal.rows(4096, start=max(done, far, HEADER_BYTES)):
            for row in rows:
                length = int(row["length"])
                done = int(row["offset"]) + frame.span(length)
                if row["claim"] and row["flags"] == frame.MESSAGE and row["time"]:
                    start = int(row["offset"]) + frame.RECORD_BYTES
                    self._keep(int(row["source"]), int(row["time"]), journal.buffer[start : start + length])
        self._done = name, done

    def _keep(self, source: int, time_us: int, payload: memoryview) -> None:
        count = self._count if len(payload) <= _SMALL_BYTES else 1
        kept = self.messages.get(source)
        if kept is None or kept.maxlen != count:
            kept = self.messages[source] = deque(maxlen=count)
        kept.append((time_us, bytes(payload)))
