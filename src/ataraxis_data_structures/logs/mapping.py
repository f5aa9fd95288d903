"""A function on the batches of an archive, on any executor."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import BatchError
from .progress import progress_bar
from .reader import LogArchiveReader, LogMessage

_Result = TypeVar("_Result")


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
    involved, function and results must be picklable, and the archive be seen under its path. BatchError tells which
    batch failed, with the function's exception as its cause; batches that did not start are then cancelled.
    """
    reader = archive if isinstance(archive, LogArchiveReader) else LogArchiveReader(archive)
    worker = LogArchiveReader(reader.archive_path, reader.onset_timestamp_us)
    batches = reader.batch_ranges(workers, batch_multiplier)
    with progress_bar("Processing batches", len(batches), shown=progress, unit="batch") as advance:
        calls: list[Callable[[], _Result]]
        futures: list[Future[_Result]] = []
        if executor is None:
            calls = [partial(_run, function, worker, batch) for batch in batches]
        else:
            futures = [executor.submit(_run, function, worker, batch) for batch in batches]
            calls = [future.result for future in futures]
        results = []
        for batch, call in zip(batches, calls, strict=True):
            try:
                results.append(call())
            except Exception as error:
                for future in futures:
                    future.cancel()
                raise BatchError(
                    f"messages {batch[0]} to {batch[1] - 1} of {reader.archive_path}: {error!r}", batch
                ) from error
            advance(1)
    return results


def _run(
    function: Callable[[Iterator[LogMessage]], _Result], reader: LogArchiveReader, batch: tuple[int, int]
) -> _Result:
    return function(reader.iter_range(*batch))


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
