"""Values of one clock's moments at another's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._core import merge

_SIGNED, _UNSIGNED, _FLOAT = np.dtype(np.int64), np.dtype(np.uint64), np.dtype(np.float64)


def interpolate_data(
    source_coordinates: NDArray[Any],
    source_values: NDArray[Any],
    target_coordinates: NDArray[Any],
    *,
    is_discrete: bool,
) -> NDArray[Any]:
    """Return the values at the target coordinates: linear between sources, or the last known one if discrete.

    Sources ascend (duplicates are allowed: the last one counts); targets come in any order and shape. Outside the
    range the first or last value holds. Integer coordinates are compared exactly, also int64 with uint64. Values of
    k channels are an n x k array and give `targets.shape + (k,)`. Continuous results are float64, and NaN at a NaN
    target; discrete ones keep their dtype, and hold the last value at a NaN target.

    Raises:
        ValueError: No source, NaN or descending source coordinates, or (continuous) not one value for each of them.
    """
    if source_coordinates.size == 0 or source_values.size == 0:
        raise ValueError(f"expected at least one source, got shapes {source_coordinates.shape}, {source_values.shape}")
    if source_coordinates.ndim != 1:
        raise ValueError(f"expected source coordinates of one dimension, got shape {source_coordinates.shape}")
    sources, targets = _comparable(source_coordinates, target_coordinates.reshape(-1))
    if not merge.is_ascending(sources):
        raise ValueError("expected ascending source coordinates without NaN, got unsorted ones")
    interpolate = _last_known if is_discrete else _linear
    found = interpolate(sources, source_values, targets)
    return found.reshape(target_coordinates.shape + source_values.shape[1:])


def _last_known(sources: NDArray[Any], values: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    found = np.empty(len(targets), dtype=np.int64)
    merge.last_at_or_before(sources, targets, found)
    return values.take(found, axis=0, mode="clip")  # fewer values than sources: the last one holds


def _linear(sources: NDArray[Any], values: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    if len(values) != len(sources):
        raise ValueError(f"expected {len(sources)} values, one for each source coordinate, got {len(values)}")
    channels = np.ascontiguousarray(values.reshape(len(values), -1), dtype=np.float64)
    found = np.empty((len(targets), channels.shape[1]))
    merge.linear(sources, channels, targets, found)
    return found


def _comparable(sources: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as one type that holds every coordinate, without rounding any."""
    sources, targets = _widest(sources), _widest(targets)
    if {sources.dtype, targets.dtype} == {_SIGNED, _UNSIGNED} and _fits_signed(sources) and _fits_signed(targets):
        sources, targets = sources.astype(_SIGNED), targets.astype(_SIGNED)
    if sources.dtype != targets.dtype:
        # 64 bits of mantissa hold any integer and any float64; where long double is a double, mixtures are rounded.
        sources, targets = sources.astype(np.longdouble), targets.astype(np.longdouble)
    return np.ascontiguousarray(sources), np.ascontiguousarray(targets)


def _widest(coordinates: NDArray[Any]) -> NDArray[Any]:
    if coordinates.dtype == np.longdouble:
        return coordinates
    dtype = {"b": _SIGNED, "i": _SIGNED, "u": _UNSIGNED}.get(coordinates.dtype.kind, _FLOAT)
    return coordinates.astype(dtype, copy=False)


def _fits_signed(coordinates: NDArray[Any]) -> bool:
    return coordinates.size == 0 or bool(coordinates.max() <= np.iinfo(_SIGNED).max)
