"""Messages as arrays of the type that their source declared, as tables, and told apart by their first byte."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..descriptions import SourceDescription
from .arrays import gathered
from .index import Contents

_MOST_COLUMNS = 4096
TIME = "time_us"
"""The column or field of times (UTC, microseconds)."""


def typed_arrays(contents: Contents, indices: NDArray[np.intp], source: SourceDescription) -> NDArray[Any]:
    """Return payloads as an array of (messages, *shape): a view of the archive where they lie evenly and aligned."""
    wanted, shape = source.dtype, (len(indices), *source.shape)
    if not len(indices):
        return np.empty(shape, wanted)
    spans = contents.spans(indices)
    starts = spans["start"]
    _require_width(contents, indices, spans["length"], source.size_bytes)
    steps = np.diff(starts.astype(np.int64))
    if len(steps) and (steps == steps[0]).all() and _is_aligned(contents, int(starts[0]), int(steps[0]), wanted):
        inner = np.empty(source.shape, wanted).strides
        view = np.ndarray(shape, wanted, contents.bytes.data, int(starts[0]), (int(steps[0]), *inner))
        view.flags.writeable = False
        return view
    return gathered(contents.bytes, starts, source.size_bytes).view(wanted).reshape(shape)


def _is_aligned(contents: Contents, start: int, step: int, wanted: np.dtype[Any]) -> bool:
    address = contents.bytes.ctypes.data + start
    return address % wanted.alignment == 0 and step % wanted.alignment == 0


def _require_width(contents: Contents, indices: NDArray[np.intp], lengths: NDArray[Any], width: int) -> None:
    other = np.flatnonzero(lengths != width)
    if len(other):
        key = contents.directory.key(int(indices[other[0]]))
        raise contents.error(f"{key}: expected {width} bytes, as the source declares, got {int(lengths[other[0]])}")


def columns_of(times: NDArray[np.uint64], values: NDArray[Any], source: SourceDescription) -> dict[str, NDArray[Any]]:
    """Return the columns of a table: the time, and one for each field or element.

    An element of an array is NAME_0, NAME_1, ...; one of a matrix NAME_0_0, ...
    """
    columns: dict[str, NDArray[Any]] = {TIME: times}
    for name, part in field_arrays(values, source):
        width = int(np.prod(part.shape[1:], dtype=np.int64))
        if width > _MOST_COLUMNS:
            raise ValueError(
                f"expected at most {_MOST_COLUMNS} values a message for a table, got {width}: arrays() has them"
            )
        if part.ndim == 1:
            columns[name] = part
        else:
            for index in np.ndindex(*part.shape[1:]):
                columns["_".join((name, *map(str, index)))] = part[(slice(None), *index)]
    return columns


def field_arrays(values: NDArray[Any], source: SourceDescription) -> list[tuple[str, NDArray[Any]]]:
    """Return the fields of a source's arrays by name; one that has none is called as the source, or "value"."""
    return _fields(values, source.name if source.name != str(source.code) else "value")


def _fields(values: NDArray[Any], name: str) -> list[tuple[str, NDArray[Any]]]:
    if values.dtype.names is None:
        return [(name, values)]
    return [pair for field in values.dtype.names for pair in _fields(values[field], field)]


def records_by_code(
    contents: Contents, indices: NDArray[np.intp], times: NDArray[np.uint64], types: Mapping[int, DTypeLike]
) -> dict[int, NDArray[Any]]:
    """Return code -> structured array of the messages whose first byte is that code.

    Each has the field `time_us`, then those of the given type, or one `value`. Messages of other codes are passed over;
    one of a wrong length is an ArchiveError.
    """
    wanted = {_as_code(code): np.dtype(kind) for code, kind in types.items()}
    if not len(indices):
        return {code: np.empty(0, _with_time(kind)) for code, kind in wanted.items()}
    spans = contents.spans(indices)
    starts, lengths = spans["start"].astype(np.intp), spans["length"]
    if (lengths == 0).any():
        key = contents.directory.key(int(indices[np.flatnonzero(lengths == 0)[0]]))
        raise contents.error(f"{key}: expected a message that begins with its code, got an empty one")
    codes = contents.bytes[starts]
    found = {}
    for code, kind in wanted.items():
        chosen = np.flatnonzero(codes == code)
        _require_width(contents, indices[chosen], lengths[chosen], kind.itemsize + 1)
        rows = np.empty(len(chosen), _with_time(kind))
        rows[TIME] = times[chosen]
        values = gathered(contents.bytes, starts[chosen] + 1, kind.itemsize).view(kind).reshape(-1)
        for name in kind.names or ():
            rows[name] = values[name]
        if kind.names is None:
            rows["value"] = values
        found[code] = rows
    return found


def _as_code(code: int) -> int:
    if not 0 <= int(code) <= 255:
        raise ValueError(f"expected codes from 0 to 255, got {code}")
    return int(code)


def _with_time(kind: np.dtype[Any]) -> np.dtype[Any]:
    if kind.hasobject or not kind.itemsize:
        raise TypeError(f"expected a dtype of a fixed size and without objects, got {kind}")
    if kind.names is None:
        return np.dtype([(TIME, np.uint64), ("value", kind)])
    if TIME in kind.names:
        raise ValueError(f"expected fields of other names than {TIME!r}, got {kind.names}")
    return np.dtype([(TIME, np.uint64), *((name, kind[name]) for name in kind.names)])
