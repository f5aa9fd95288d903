"""Items of a store as Dask arrays, and archives as batches of Dask's: for where one machine is not enough."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ..logs.archive.reader import LogArchiveReader, LogMessage
from ..store.store import Store

_Result = TypeVar("_Result")


def to_dask(array: Any, name: str | None = None, *, chunks: Any = "auto") -> Any:
    """Return a Dask array of an item, whose blocks each worker reads for itself.

    Args:
        array: A store, or what `open_remote` gives for an array. Workers see the store under the same path.
        name: The item of the store, or `name@version`; the version of now is kept, whatever is added later.
        chunks: As Dask takes them.

    Raises:
        KeyError: The store has no such item.
        TypeError: The item is no array.
        ImportError: Dask (extra `executors`) is not installed.
    """
    dask_array = _dask("dask.array")
    source = array
    if isinstance(array, Store):
        if name is None:
            raise TypeError("expected the name of an item beside a store, got none")
        source = _StoredArray(array, name)
    return dask_array.from_array(source, chunks=chunks, asarray=True, fancy=False)


def to_delayed(
    archive: LogArchiveReader | Path,
    function: Callable[[Iterator[LogMessage]], _Result],
    *,
    workers: int = -1,
    batch_multiplier: int = 4,
) -> list[Any]:
    """Return what `function` makes of each batch of an archive, as values that Dask computes on any of its schedulers.

    Args:
        archive: A log archive; workers see it under the same path.
        function: Takes the messages of a batch.
        workers: How many will work; by default as many as there are CPUs.
        batch_multiplier: How many batches there are for each of them.

    Raises:
        ImportError: Dask (extra `executors`) is not installed.
    """
    delayed = _dask("dask").delayed
    reader = archive if isinstance(archive, LogArchiveReader) else LogArchiveReader(archive)
    return [delayed(_apply)(function, reader, batch) for batch in reader.batch_ranges(workers, batch_multiplier)]


def _apply(
    function: Callable[[Iterator[LogMessage]], _Result], reader: LogArchiveReader, batch: tuple[int, int]
) -> _Result:
    return function(reader.iter_range(*batch))


class _StoredArray:
    """An array of a store on its way to workers: where its payload is, which is never written again, and no values."""

    def __init__(self, store: Store, name: str) -> None:
        mapped = store.open(name)
        if not isinstance(mapped, np.memmap):
            raise TypeError(f"expected an array, got {type(mapped).__name__}: {name}")
        order: Literal["C", "F"] = "C" if mapped.flags.c_contiguous else "F"
        self._place: dict[str, Any] = {"filename": str(mapped.filename), "offset": mapped.offset, "order": order}
        self.shape, self.dtype, self.ndim = mapped.shape, mapped.dtype, mapped.ndim

    def __getitem__(self, key: Any) -> Any:
        mapped: Any = np.memmap(mode="r", dtype=self.dtype, shape=self.shape, **self._place)
        return np.array(mapped[key])  # a copy, so that the map ends with the block


def _dask(module: str) -> Any:
    try:
        return import_module(module)  # an extra
    except ImportError as error:
        raise ImportError("expected Dask with arrays: pip install 'ataraxis-data-structures[executors]'") from error
