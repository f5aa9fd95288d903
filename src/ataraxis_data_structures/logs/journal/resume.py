"""What the journals of a queue hold already, so that whoever goes on writes nothing twice."""

import os
import struct

from ..._core import frame
from ..._core.bulk import MappedFile
from ..._core.frame import Tally
from ...memory.consumer import LogDrain
from . import layout
from .holdings import Holdings
from .layout import Words
from .words import FileWords, mark_end, open_words

_ROW = struct.Struct(frame.ROW_FORMAT)


def release_written(drain: LogDrain, holdings: Holdings, queue_id: int) -> None:
    """Release from the lanes what a writer that died had appended, and mark where its journal's records end.

    A writer releases each span right after it wrote it, so this concerns the last append to the last journal alone.
    """
    paths = holdings.journals(queue_id)
    header = holdings.header(paths[-1]) if paths else None
    if header is None:
        return
    fd = os.open(paths[-1], os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if size < layout.HEADER_BYTES:
            return
        words = open_words(fd)
        try:
            _release(drain, MappedFile(fd, size), words, size, header.salt)
        finally:
            words.release()
    finally:
        os.close(fd)


def _release(drain: LogDrain, mapped: MappedFile, words: memoryview | FileWords, size: int, salt: int) -> None:
    view = memoryview(mapped)
    tail = words[Words.TAIL]
    start = tail if layout.HEADER_BYTES <= tail <= size and tail % 8 == 0 else layout.HEADER_BYTES
    scanner = frame.Scanner(view, salt, start=start)
    end, last = start, dict[int, int]()
    while found := scanner.next(65536):
        for offset, _, seq, length, claim, *_ in _ROW.iter_unpack(found):
            end, last[claim] = offset + frame.span(length), seq
    if words[Words.COUNTED] <= start and end > start and not scanner.damaged:
        Tally().add(view[start:end], drain.sources)
    if end < size:  # whole records are never behind a torn one: each append ends before the next begins
        mark_end(words, end)
    for lane in drain.lanes():
        if lane.claim in last:
            lane.release_through(last[lane.claim])
