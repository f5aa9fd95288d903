"""The reading end of journals: their records in file order, around whatever is damaged."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..._core import frame
from ..._core.bulk import MappedFile
from ...system.pages import WINDOW_BYTES, forget_pages
from . import layout
from .holdings import Holdings
from .layout import Header, Totals, Words

ROW = np.dtype(frame.ROW)

_FIRST_ROWS = 64  # until it is known how large they are


class Journal:
    """One journal file, mapped; a file that is cut, harmed or no journal has fewer records, never an error."""

    def __init__(self, path: Path, header: Header | None = None) -> None:
        """Map a journal; `header` is its own where the caller has read it."""
        self.path = path
        self.buffer = _map(path)
        found = header or layout.parse_header(bytes(self.buffer[: layout.HEADER_BYTES]))
        self.readable = found is not None
        queue_id, number = layout.parse_name(path) or (0, 0)
        self.header = found or Header(queue_id, number, 0, 0, 0, bytes(16))
        self.salt = self.header.salt
        self.stop = self._end() if self.readable else 0
        self.footer: Totals | None = layout.footer_of(self.buffer, self.salt, self.stop) if self.readable else None
        self._damaged: list[tuple[int, int]] | None = None

    @property
    def complete(self) -> bool:
        """Whether the journal was closed by its writer: what its footer counts is all that was ever in it."""
        return self.footer is not None

    @property
    def damaged(self) -> list[tuple[int, int]]:
        """The spans of the file that no valid record covers; looks through the whole file if nobody has yet."""
        if self._damaged is None:
            for _ in self.rows():
                pass
        return list(self._damaged or ())

    def rows(self, max_rows: int = 65536, *, start: int | None = None) -> Iterator[NDArray[Any]]:
        """Yield the records as arrays of ROW, among them checkpoints and the footer (claim 0); never an empty one."""
        if not self.readable:
            self._damaged = [(0, len(self.buffer))] if len(self.buffer) else []
            return
        first = min(layout.HEADER_BYTES if start is None else start, self.stop)
        scanner = frame.Scanner(self.buffer, self.salt, start=first, stop=self.stop)
        count = _FIRST_ROWS
        while found := scanner.next(min(count, max_rows)):
            rows = np.frombuffer(found, ROW)
            yield rows
            count = max(_FIRST_ROWS, WINDOW_BYTES * len(rows) // (scanner.position - first))
            first = scanner.position
            forget_pages([self.buffer])
        if start is None:
            self._damaged = scanner.damaged

    def payload(self, row: np.void) -> memoryview:
        """Return the payload of one record, without a copy."""
        start = int(row["offset"]) + frame.RECORD_BYTES
        return self.buffer[start : start + int(row["length"])]

    def totals(self, row: np.void) -> Totals | None:
        """Return what a checkpoint or footer among the rows counts; None for one that is none, under a right check."""
        return layout.parse_totals(self.payload(row))

    def close(self) -> None:
        """Let go of this view of the file; arrays over `buffer` keep the map alive."""
        with suppress(BufferError):  # somebody still reads: the map goes with the last reader
            self.buffer.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    def _end(self) -> int:
        size = len(self.buffer)
        if size < layout.HEADER_BYTES:
            return 0
        words = self.buffer[: layout.HEADER_BYTES].cast("Q")
        end, check = words[Words.END], words[Words.END_CHECK]
        known = end == check ^ 0xFFFF_FFFF_FFFF_FFFF and layout.HEADER_BYTES <= end <= size
        return end if known else size


def open_journals(directory: Path | Holdings) -> list[Journal]:
    """Return the journals of a log directory in the order in which they were written."""
    if isinstance(directory, Holdings):
        journals = [Journal(path, directory.header(path)) for path in directory.journals()]
    else:
        journals = [Journal(path) for path in layout.list_journals(Path(directory))]
    # A clock may jump between two journals of a queue, so their number rules; the queue's first start orders queues.
    born: dict[int, int] = {}
    for header in (journal.header for journal in journals if journal.readable):
        born[header.queue_id] = min(header.created_us, born.get(header.queue_id, header.created_us))
    return sorted(journals, key=lambda j: (born.get(j.header.queue_id, 0), j.header.queue_id, j.header.number))


def _map(path: Path) -> memoryview:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        return memoryview(MappedFile(fd, size) if size else b"")
    finally:
        os.close(fd)
