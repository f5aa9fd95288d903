"""Values of one clock's moments at another's."""

import math
from bisect import bisect_right
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._core import bulk

_SIGNED, _UNSIGNED, _FLOAT = np.dtype(np.int64), np.dtype(np.uint64), np.dtype(np.float64)
_LIMIT = 2**63

# How many of the last unit each unit is: months have no length in days, so years and months are a scale of their own.
_MONTHS = {"Y": 12, "M": 1}
_SECOND = 10**18
_ATTOSECONDS = {
    "W": 604800 * _SECOND, "D": 86400 * _SECOND, "h": 3600 * _SECOND, "m": 60 * _SECOND, "s": _SECOND,
    "ms": 10**15, "us": 10**12, "ns": 10**9, "ps": 10**6, "fs": 10**3, "as": 1,
}  # fmt: skip


def interpolate_data(
    source_coordinates: ArrayLike,
    source_values: ArrayLike,
    target_coordinates: ArrayLike,
    *,
    is_discrete: bool,
    left: ArrayLike | None = None,
    right: ArrayLike | None = None,
) -> NDArray[Any]:
    """Return the values at the target coordinates: linear between sources, or the last known one if discrete.

    Coordinates are compared exactly: integers also as int64 with uint64, datetime64 and timedelta64 of any two units.
    Infinite coordinates and values count as they do for `numpy.interp`.

    Args:
        source_coordinates: Ascending numbers or times (duplicates are allowed: the last one counts). Arrays, lists, and
            the series and indexes of pandas and polars are taken; so are lists of datetime, in UTC if they are aware.
        source_values: A value for each of them; n x k for k channels.
        target_coordinates: Numbers or times of the same kind, in any order and shape.
        is_discrete: Whether values hold until the next source, instead of changing linearly.
        left: The value before the first source, for all channels or each; the first one's if None.
        right: The value after the last source; the last one's if None.

    Returns:
        An array of shape `targets.shape`, or `targets.shape + (k,)`. Continuous results are float64 (complex128 of
        complex values), and NaN at a target that is NaN or NaT; discrete ones keep the dtype of the values, and hold
        the last one at such a target.

    Raises:
        ValueError: No source; NaN, NaT or descending source coordinates; times beside numbers; `left` or `right` that
            the dtype of the values cannot hold; or (continuous) not one number for each source.
    """
    sources, targets = _coordinates(source_coordinates), _coordinates(target_coordinates)
    values = _plain(source_values)
    if sources.size == 0 or values.size == 0:
        raise ValueError(f"expected at least one source, got shapes {sources.shape}, {values.shape}")
    if sources.ndim != 1 or values.ndim == 0:
        raise ValueError(f"expected sources of one dimension, got shapes {sources.shape}, {values.shape}")
    if not is_discrete:
        values = _numbers(values, len(sources))
    shape, targets = targets.shape + values.shape[1:], targets.reshape(-1)
    is_missing = np.isnat(targets) if targets.dtype.kind in "Mm" else None
    sources, targets = _comparable(sources, targets)
    if not _is_ascending(sources):
        raise ValueError("expected ascending source coordinates without NaN, got unsorted ones")
    found = _last_known(sources, values, targets) if is_discrete else _linear(sources, values, targets)
    for outside, value in ((targets < sources[0], left), (targets > sources[-1], right)):
        if value is not None:
            found[outside] = _fitting(value, found.dtype)
    if is_missing is not None and is_missing.any():
        found[is_missing] = values[min(len(sources), len(values)) - 1] if is_discrete else np.nan
    return found.reshape(shape)


# ---- what is interpolated


def _last_known(sources: NDArray[Any], values: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    found = np.empty(len(targets), dtype=np.int64)
    if sources.dtype == object:
        found[:] = _positions(sources, targets)
    else:
        bulk.last_at_or_before(sources, targets, found)
    return values.take(found, axis=0, mode="clip")  # fewer values than sources: the last one holds


def _linear(sources: NDArray[Any], values: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """Return a row for each target; the real and imaginary parts of complex values are channels of their own."""
    channels = np.ascontiguousarray(values.reshape(len(values), -1)).view(np.float64)
    found = np.empty((len(targets), channels.shape[1]))
    if sources.dtype == object:
        at = np.array(_positions(sources, targets))
        after = np.minimum(at + 1, len(sources) - 1)
        width, gone = sources[after] - sources[at], np.maximum(targets - sources[at], 0)
        part = np.array([min(g, w) / w if w else 0.0 for g, w in zip(gone, width, strict=True)])[:, None]
        found[:] = channels[at] + (channels[after] - channels[at]) * part
    else:
        bulk.linear(sources, channels, targets, found)
    return found.view(values.dtype).reshape(len(targets), *values.shape[1:])


def _positions(sources: NDArray[Any], targets: NDArray[Any]) -> list[int]:
    known = sources.tolist()
    return [max(bisect_right(known, target) - 1, 0) for target in targets.tolist()]


def _is_ascending(sources: NDArray[Any]) -> bool:
    return bool(np.all(sources[1:] >= sources[:-1])) if sources.dtype == object else bulk.is_ascending(sources)


def _numbers(values: NDArray[Any], count: int) -> NDArray[Any]:
    if len(values) != count:
        raise ValueError(f"expected {count} values, one for each source coordinate, got {len(values)}")
    if values.dtype.kind in "MmSU":
        raise ValueError(f"expected numbers as values, got dtype {values.dtype}")
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64, copy=False)


def _fitting(value: ArrayLike, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a value as the dtype; ValueError if that is another value."""
    given = np.asarray(value)
    try:
        with np.errstate(invalid="ignore"):
            held = given.astype(dtype)
            is_held = held.dtype.kind in "fc" or np.array_equal(given, held, equal_nan=held.dtype.kind in "Mm")
    except (TypeError, ValueError, OverflowError):
        is_held = False
    if not is_held:
        raise ValueError(f"expected values outside the sources that {dtype} holds, got {value!r}")
    return held


# ---- what counts as a coordinate


def _plain(given: Any) -> NDArray[Any]:
    """Return an array; what pandas marks as missing, and what is masked, is NaN."""
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        is_time = given.dtype.kind in "Mm"
        given = np.where(np.ma.getmaskarray(given), "NaT" if is_time else np.nan, given.data)
    array = np.asarray(given)
    if array.dtype == object and hasattr(given, "to_numpy") and str(given.dtype).startswith(("Int", "UInt", "Float")):
        return np.asarray(given.to_numpy(dtype=np.float64, na_value=np.nan))
    return array


def _coordinates(given: Any) -> NDArray[Any]:
    array = _plain(given)
    if array.dtype == object:
        array = _from_objects(array)
    if array.dtype.kind not in "biufMm":
        raise ValueError(f"expected numbers or times as coordinates, got dtype {array.dtype}")
    return array


def _from_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers and times in lists and object arrays; a missing one among them is NaN or NaT."""
    items = [_moment(item) for item in array.ravel().tolist()]
    time: Any = next((item for item in items if isinstance(item, np.datetime64 | np.timedelta64)), None)
    missing = np.nan if time is None else type(time)("NaT", np.datetime_data(time.dtype)[0])
    try:
        found = np.array([missing if item is None else item for item in items])
        found = found.astype(np.float64) if found.dtype == object else found
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers or times as coordinates, got {items[0]!r}") from error
    return found.reshape(array.shape)


def _moment(item: Any) -> Any:
    """Return Python's and pandas's times as numpy's; aware ones are counted in UTC."""
    if hasattr(item, "to_datetime64") or hasattr(item, "to_timedelta64"):
        return item.to_datetime64() if hasattr(item, "to_datetime64") else item.to_timedelta64()
    if isinstance(item, datetime) and (offset := item.utcoffset()) is not None:
        return np.datetime64((item - offset).replace(tzinfo=None), "us")
    if isinstance(item, date):
        return np.datetime64(item, "us") if isinstance(item, datetime) else np.datetime64(item, "D")
    return np.timedelta64(item, "us") if isinstance(item, timedelta) else item


# ---- how two kinds of coordinates are compared


def _comparable(sources: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as one type that holds every coordinate, without rounding any."""
    kinds = {sources.dtype.kind, targets.dtype.kind}
    if kinds & {"M", "m"}:
        if len(kinds) > 1:
            raise ValueError(f"expected coordinates of one kind, got dtypes {sources.dtype} and {targets.dtype}")
        if np.isnat(sources).any():
            raise ValueError("expected ascending source coordinates without NaN, got NaT")
        return _times(sources, targets)
    sources, targets = _widest(sources), _widest(targets)
    if {sources.dtype, targets.dtype} == {_SIGNED, _UNSIGNED} and _fits_signed(sources) and _fits_signed(targets):
        sources, targets = sources.astype(_SIGNED), targets.astype(_SIGNED)
    if sources.dtype != targets.dtype:
        # 64 bits of mantissa hold any integer and any float64; where long double is a double, mixtures are rounded.
        sources, targets = sources.astype(np.longdouble), targets.astype(np.longdouble)
    return np.ascontiguousarray(sources), np.ascontiguousarray(targets)


def _times(sources: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as counts of one unit: int64, or Python's integers where 64 bits are too few for it."""
    both = [_in_days(times) for times in (sources, targets)]
    units = [_unit(times.dtype) for times in both]
    if units[0][1] != units[1][1]:
        raise ValueError(f"expected comparable units, got {sources.dtype} and {targets.dtype}: months have no length")
    common = math.gcd(units[0][0], units[1][0])
    counts = [np.where(np.isnat(times), 0, times.astype(np.int64)) for times in both]
    factors = [length // common for length, _ in units]
    fits = all(max(_largest(count), 1) * factor < _LIMIT for count, factor in zip(counts, factors, strict=True))
    kind: Any = np.int64 if fits else object
    first, second = (count.astype(kind) * factor for count, factor in zip(counts, factors, strict=True))
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def _in_days(times: NDArray[Any]) -> NDArray[Any]:
    """Return dates that are counted in years or months as days, whose number depends on the date."""
    if times.dtype.kind == "m" or np.datetime_data(times.dtype)[0] not in _MONTHS:
        return times
    days = times.astype("M8[D]")
    if not np.array_equal(days.astype(times.dtype), times, equal_nan=True):
        raise ValueError(f"expected dates whose days 64 bits can count, got {times.dtype} beyond them")
    return days


def _unit(dtype: np.dtype[Any]) -> tuple[int, bool]:
    """Return the length of one count, and whether that is in months instead of attoseconds."""
    unit, count = np.datetime_data(dtype)
    if unit in _MONTHS:
        return _MONTHS[unit] * count, True
    if unit not in _ATTOSECONDS:
        raise ValueError(f"expected times with a unit, got dtype {dtype}")
    return _ATTOSECONDS[unit] * count, False


def _largest(counts: NDArray[np.int64]) -> int:
    return max(-int(np.min(counts)), int(np.max(counts))) if counts.size else 0


def _widest(coordinates: NDArray[Any]) -> NDArray[Any]:
    if coordinates.dtype == np.longdouble:
        return coordinates
    dtype = {"b": _SIGNED, "i": _SIGNED, "u": _UNSIGNED}.get(coordinates.dtype.kind, _FLOAT)
    return coordinates.astype(dtype, copy=False)


def _fits_signed(coordinates: NDArray[Any]) -> bool:
    return coordinates.size == 0 or bool(coordinates.max() <= np.iinfo(_SIGNED).max)
