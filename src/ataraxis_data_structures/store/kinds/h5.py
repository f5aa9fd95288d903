"""Arrays as HDF5 files: one contiguous dataset `data`, whose elements are one span of the file.

HDF5 itself makes the file's other bytes, once, with the elements left out; where they lie is kept in the ledger, so
reading needs no HDF5.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DamagedError
from . import npy
from .array import ARRAY, as_array, bytes_of, in_memory, mapped
from .kind import About, Kind, PayloadFile
from .libraries import library

_EXTRA = "hdf5"
_DATASET = "data"


def _write(value: Any, file: PayloadFile) -> About:
    array = np.asarray(as_array(value), order="C")
    if array.dtype.kind in "UO":
        raise TypeError(f"expected an array that HDF5 holds, got {array.dtype}: store text as array.astype('S')")
    head, tail = _frame_of(array)
    file.write(head)
    file.write(bytes_of(array))
    file.write(tail)
    return {"dtype": npy.descr_of(array.dtype), "offset": len(head), "order": "C", "shape": [*array.shape]}


def _frame_of(array: np.ndarray[Any, Any]) -> tuple[bytes, bytes]:
    """Return the bytes of a file before and after the elements, which are never written: the file is sparse."""
    h5 = library("h5py", _EXTRA)
    fd, path = tempfile.mkstemp(suffix=".h5")
    try:
        with h5.File(path, "w", libver=("v108", "v108")) as made:
            offset = _make_dataset(h5, made, array)
        size = os.fstat(fd).st_size
        start = size if offset is None else offset
        return os.pread(fd, start, 0), os.pread(fd, size - start - array.nbytes, start + array.nbytes)
    finally:
        os.close(fd)
        os.unlink(path)  # noqa: PTH108


def _make_dataset(h5: Any, file: Any, array: np.ndarray[Any, Any]) -> int | None:
    creation = h5.h5p.create(h5.h5p.DATASET_CREATE)
    creation.set_layout(h5.h5d.CONTIGUOUS)
    creation.set_alloc_time(h5.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)  # equal arrays are equal bytes
    try:
        kind = h5.h5t.py_create(array.dtype, logical=True)
    except TypeError as error:
        raise TypeError(f"expected an array that HDF5 holds, got {array.dtype}: {error}") from None
    space = h5.h5s.create_simple(array.shape) if array.shape else h5.h5s.create(h5.h5s.SCALAR)
    made = h5.h5d.create(file.id, _DATASET.encode(), kind, space, creation)
    if made.dtype != array.dtype:
        raise TypeError(f"expected an array that HDF5 holds as it is, got {array.dtype}, which it has as {made.dtype}")
    offset = made.get_offset()
    return None if offset is None else int(offset)


def _read(payload: Any, about: About) -> Any:
    return in_memory(payload.data(), about)


def _about(path: Path) -> About:
    h5 = library("h5py", _EXTRA)
    try:
        with h5.File(path, "r") as file:
            found = file[_DATASET]
            offset, dtype, shape = found.id.get_offset(), found.dtype, found.shape
    except (OSError, KeyError) as error:
        raise DamagedError(f"expected an array {_DATASET} in {path}: {error}", (str(path),)) from None
    if offset is None and 0 not in shape:
        raise DamagedError(f"expected elements in one span of {path}, got chunks: add the array anew", (str(path),))
    start = path.stat().st_size if offset is None else int(offset)
    return {"dtype": npy.descr_of(dtype), "offset": start, "order": "C", "shape": [*shape]}


H5 = Kind("array", lambda _: ".h5", ARRAY.accepts, _write, _read, mapped, format="h5", is_default=False, about=_about)
