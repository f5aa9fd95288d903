"""The messages of an archive as arrays."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .index import SPAN, Contents

# numpy walks rows that are apart one by one: a sum over narrow ones would take five times as long as over a copy.
_VIEW_BYTES = 1024


def payload_sizes(contents: Contents, indices: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Return how many bytes of payload each entry has."""
    room, done, _ = contents.directory.messages(indices, check=False)
    sizes: NDArray[np.uint64] = np.frombuffer(room, SPAN)["length"].copy()
    for found, views in contents.messages(indices[done:], check=False):  # from the first that is not stored plainly
        sizes[done : done + len(found)] = [len(view) for view in views]
        done += len(found)
    return sizes


def payload_matrix(contents: Contents, indices: NDArray[np.intp], dtype: DTypeLike) -> NDArray[Any]:
    """Return payloads of equal size as the rows of one array; a view of the archive if the rows are wide and bytes.

    Wider types are copied, because a payload lies at any address in the archive.
    """
    wanted = np.dtype(dtype)
    if not len(indices):
        return np.empty((0, 0), wanted)
    spans = contents.spans(indices)
    width = int(spans["length"][0])
    other = np.flatnonzero(spans["length"] != width)
    if len(other):
        key, size = contents.directory.key(int(indices[other[0]])), int(spans["length"][other[0]])
        raise contents.error(f"{key}: expected {width} bytes of payload, as before it, got {size}")
    if width % wanted.itemsize:
        raise ValueError(f"expected payloads of whole {wanted} items, got {width} bytes")
    starts = spans["start"]
    steps = np.diff(starts.astype(np.int64))
    even = len(starts) == 1 or bool((steps == steps[0]).all())
    if even and width:
        step = int(steps[0]) if len(steps) else width
        rows = np.ndarray((len(starts), width), np.uint8, contents.bytes.data, int(starts[0]), (step, 1))
        rows.flags.writeable = False
        in_place = wanted.itemsize == 1 and width >= _VIEW_BYTES
        return (rows if in_place else np.ascontiguousarray(rows)).view(wanted)
    return gathered(contents.bytes, starts, width).view(wanted) if width else np.empty((len(starts), 0), wanted)


def gathered(data: NDArray[np.uint8], starts: NDArray[Any], width: int) -> NDArray[np.uint8]:
    """Return rows of `width` bytes that start anywhere, as one array."""
    if not len(starts):
        return np.empty((0, width), np.uint8)
    # Each byte is taken for the start of an item as wide as a row: numpy then copies row by row.
    windows = np.ndarray((len(data) - width + 1,), f"V{width}", data.data, 0, (1,))
    rows: NDArray[np.uint8] = windows[starts.astype(np.intp)].view(np.uint8).reshape(len(starts), width)
    return rows
