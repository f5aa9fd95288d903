"""Items as series of values at times, and several of them at one clock's times; times are UTC microseconds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import StoreError
from ...series import interpolate_data

if TYPE_CHECKING:
    from ..store import Store

TIME = "time_us"


@dataclass(frozen=True)
class Series:
    """Values, and when each was acquired (UTC, microseconds)."""

    times_us: NDArray[np.uint64]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.times_us)


def series_of(store: "Store", name: str, dtype: DTypeLike | None) -> Series:
    """Return the messages of a log, or an array or table that has times, as a series; see `Store.series`."""
    kind = store.info(name).kind
    value = store.open(name) if kind in ("log", "array") else store.get(name)
    if kind == "log":
        values = value.arrays() if dtype is None else value.matrix(dtype)
        return Series(value.timestamps, _column(values))
    if kind == "array" and value.dtype.names is not None and TIME in value.dtype.names:
        rest = [field for field in value.dtype.names if field != TIME]
        return Series(value[TIME], value[rest[0]] if len(rest) == 1 else value[rest])
    if kind in ("arrays", "table") and TIME in value:
        rest = [str(key) for key in value if key != TIME]
        columns = [np.asarray(value[key]) for key in rest]
        return Series(np.asarray(value[TIME]), columns[0] if len(columns) == 1 else np.column_stack(columns))
    raise StoreError(f"expected a log, or an array or table with {TIME}, got {name}, which is of kind {kind}")


def _column(values: NDArray[Any]) -> NDArray[Any]:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def aligned(
    store: "Store", names: str | Iterable[str] | Mapping[str, DTypeLike], onto: Any, *, is_discrete: bool
) -> dict[str, NDArray[Any]]:
    """Return series at the times of one of them, or at given ones; see `Store.align`."""
    wanted: dict[str, Any] = (
        dict(names) if isinstance(names, Mapping) else dict.fromkeys([names] if isinstance(names, str) else names)
    )
    times = _times_of(store, onto, wanted)
    found: dict[str, NDArray[Any]] = {TIME: times}
    for name, dtype in wanted.items():
        source = series_of(store, name, dtype)
        try:
            found[name] = interpolate_data(source.times_us, source.values, times, is_discrete=is_discrete)
        except ValueError as error:
            raise StoreError(f"expected {name} to be a series that can be aligned: {error}") from error
    return found


def _times_of(store: "Store", onto: Any, wanted: Mapping[str, Any]) -> NDArray[Any]:
    if isinstance(onto, str):
        # The times need no dtype: those of messages are in the archive's directory.
        if store.info(onto).kind == "log":
            times: NDArray[Any] = store.open(onto).timestamps
            return times
        return series_of(store, onto, wanted.get(onto)).times_us
    times = np.asarray(onto)
    if times.dtype.kind == "M":
        return times.astype("datetime64[us]").astype(np.int64)
    if times.dtype.kind not in "ui":
        raise StoreError(f"expected times in microseconds as integers, or datetime64, got {times.dtype}")
    return times
