"""A journal read while it is being written."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..._core import frame
from .reader import Journal, open_journals


class LoggedMessage(NamedTuple):
    """A message as it was put: `acquisition_time` counts microseconds since the onset of its source."""

    source_id: int
    acquisition_time: int
    payload: bytes


def follow(log_directory: Path, *, poll_s: float = 0.05, stop: Callable[[], bool] = bool) -> Iterator[LoggedMessage]:
    """Yield the messages of a log with storage `journal` as they are written, from its first one on, each once.

    Looks for more every `poll_s` seconds, until `stop()` is true and nothing more is there.
    """
    done: dict[str, int] = {}
    seen: dict[tuple[int, int], int] = {}
    while True:
        last = stop()
        found = False
        for journal in open_journals(log_directory):
            with journal:
                for row, start in _new_rows(journal, done):
                    key = (journal.header.queue_id, int(row["claim"]))
                    if not row["claim"] or row["flags"] != frame.MESSAGE or int(row["seq"]) < seen.get(key, 0):
                        continue
                    seen[key] = int(row["seq"]) + 1
                    found = True
                    payload = bytes(journal.buffer[start : start + int(row["length"])])
                    yield LoggedMessage(int(row["source"]), int(row["time"]), payload)
        if not found:
            if last:
                return
            time.sleep(poll_s)


def _new_rows(journal: Journal, done: dict[str, int]) -> Iterator[tuple[np.void, int]]:
    """Yield the records behind the last one that was seen; a torn tail is looked at again the next time."""
    name = journal.path.name
    for rows in journal.rows(4096, start=done.get(name)):
        for row in rows:
            start = int(row["offset"]) + frame.RECORD_BYTES
            done[name] = int(row["offset"]) + frame.span(int(row["length"]))
            yield row, start
