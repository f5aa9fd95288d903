"""A function on the batches of an archive, on any executor."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...errors import BatchError
from ...system.progress import Progress, progress_bar
from .reader import LogArchiveReader, LogMessage

_Result = TypeVar("_Result")

_kept: dict[tuple[Any, ...], "_Opened"] = {}  # the archive that this process worked on last, as a worker


def map_archive(
    archive: LogArchiveReader | Path,
    function: Callable[[Iterator[LogMessage]], _Result],
    executor: Executor | None = None,
    *,
    workers: int = -1,
    batch_multiplier: int = 4,
    progress: bool = False,
) -> list[_Result]:
    """Return what `function` makes of the messages of each batch of an archive, in the order of the batches.

    The batches are those of `get_batches`. Any concurrent.futures.Executor runs them: a process or thread pool, Dask's
    `Client.get_executor()`, `mpi4py.futures`; without one, they run here one after the other. Where processes are
    involved, function and results must be picklable, and the archive be seen under its path; a process keeps the
    archive it worked on last open. BatchError tells which batch failed, with the function's exception as its cause;
    batches that did not start are then cancelled.
    """
    reader = archive if isinstance(archive, LogArchiveReader) else LogArchiveReader(archive)
    batches = reader.batch_ranges(workers, batch_multiplier)
    with progress_bar("Processing batches", len(batches), shown=progress, unit="batch") as advance:
        if executor is None:
            return [_answer(partial(function, reader.iter_range(*batch)), reader, batch, advance) for batch in batches]
        opened = _Opened(reader)
        futures = [executor.submit(_run, function, opened, batch) for batch in batches]
        try:
            return [
                _answer(future.result, reader, batch, advance) for future, batch in zip(futures, batches, strict=True)
            ]
        finally:
            for future in futures:
                future.cancel()
            _kept.clear()  # of an executor whose workers are in this process


def _answer(
    call: Callable[[], _Result], reader: LogArchiveReader, batch: tuple[int, int], advance: Progress
) -> _Result:
    try:
        result = call()
    except Exception as error:
        text = f"messages {batch[0]} to {batch[1] - 1} of {reader.archive_path}: {error!r}"
        raise BatchError(text, batch) from error
    advance(1)
    return result


class _Opened:
    """A reader on its way to workers: threads share it, a process opens it anew and keeps it for the next batch."""

    def __init__(self, reader: LogArchiveReader) -> None:
        self.reader = reader

    def __reduce__(self) -> tuple[Any, ...]:
        status = self.reader.archive_path.stat()  # an archive that takes this one's place is another one
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        return _reopened, (*self.reader.__reduce__(), key)


def _reopened(reopen: Callable[..., LogArchiveReader], arguments: tuple[Any, ...], key: tuple[int, ...]) -> _Opened:
    opened = _kept.get((arguments, key))
    if opened is None:
        _kept.clear()
        opened = _kept[arguments, key] = _Opened(reopen(*arguments))
    return opened


def _run(function: Callable[[Iterator[LogMessage]], _Result], opened: _Opened, batch: tuple[int, int]) -> _Result:
    return function(opened.reader.iter_range(*batch))


def merge_archives(readers: list[LogArchiveReader]) -> Iterator[tuple[LogArchiveReader, LogMessage]]:
    """Yield the messages of several archives in one order of time, each with the reader that it comes from.

    Within an archive the messages keep their order; of equal times, the first reader's come first.
    """
    import heapq  # noqa: PLC0415  # only here

    def labelled(number: int, reader: LogArchiveReader) -> Iterator[tuple[np.uint64, int, LogMessage]]:
        return ((message.timestamp_us, number, message) for message in reader.iter_messages())

    streams = [labelled(number, reader) for number, reader in enumerate(readers)]
    for _, number, message in heapq.merge(*streams, key=lambda item: item[:2]):
        yield readers[number], message
