"""Arrays as .npy files."""

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...errors import DamagedError
from . import npy
from .kind import About, Kind, Payload, PayloadFile
from .libraries import loaded

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Form:
    """Where the elements of an array lie in its payload."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    offset: int

    @property
    def stop(self) -> int:
        """Return the position behind the last byte."""
        return self.offset + self.dtype.itemsize * prod(self.shape)


def form_of(about: About, size_bytes: int) -> Form:
    """Return what the ledger says of an array, once it is known to lie within its payload.

    Raises:
        DamagedError: It does not, or describes no array.
    """
    shape, order, offset = about.get("shape"), about.get("order"), about.get("offset")
    is_form = (
        isinstance(shape, list)
        and len(shape) <= 64  # NumPy's own limit
        and all(type(length) is int and 0 <= length < 1 << 62 for length in shape)
        and order in ("C", "F")
        and type(offset) is int
        and offset >= 0
    )
    if is_form:
        form = Form(
            npy.dtype_of(about.get("dtype")), tuple(shape or ()), "F" if order == "F" else "C", int(offset or 0)
        )
        if form.stop <= size_bytes:
            return form
    raise DamagedError(f"expected the form of an array of {size_bytes} bytes in the ledger, got {about!r}")


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """Return an array of one block of memory, C or Fortran.

    Raises:
        TypeError: Its elements can't be kept as bytes.
    """
    array = np.asanyarray(value)
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("expected a plain array, got a masked one: store its data and its mask")
    array = np.asarray(array)
    if array.dtype.hasobject:
        npy.descr_of(array.dtype)
    return array if array.flags.forc else np.ascontiguousarray(array)


def about_of(array: np.ndarray[Any, Any]) -> About:
    """Return what the ledger keeps of an array."""
    order = "C" if array.flags.c_contiguous else "F"
    descr = npy.descr_of(array.dtype)
    return {
        "dtype": descr,
        "offset": len(npy.header(descr, order, array.shape)),
        "order": order,
        "shape": [*array.shape],
    }


def bytes_of(array: np.ndarray[Any, Any]) -> Any:
    """Return the elements of a contiguous array as a buffer of bytes."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.T.reshape(-1)
    return flat.view(np.uint8).data if flat.size and flat.dtype.itemsize else b""


def header_of(about: Any) -> bytes:
    """Return the header of an array's payload."""
    try:
        head = npy.header(npy.descr_of(npy.dtype_of(about.get("dtype"))), about["order"], tuple(about["shape"]))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:  # a forged ledger says anything
        raise DamagedError(f"expected the form of an array in the ledger, got {about!r}: {error}") from None
    if len(head) != about.get("offset"):
        raise DamagedError(f"expected a header of {len(head)} bytes, got {about.get('offset')!r} in the ledger")
    return head


def in_memory(data: memoryview, about: About) -> np.ndarray[Any, Any]:
    """Return an array over the bytes of its payload."""
    form = form_of(about, len(data))
    return np.ndarray(form.shape, form.dtype, buffer=data, offset=form.offset, order=form.order)


def mapped(payload: Payload, about: About) -> np.ndarray[Any, Any]:
    """Return a read-only map of an array's payload."""
    form = form_of(about, payload.size_bytes)
    if form.stop == form.offset:
        array = np.empty(form.shape, form.dtype)
        array.flags.writeable = False
        return array
    try:
        return np.memmap(payload.path, form.dtype, "r", form.offset, form.shape, form.order)
    except ValueError as error:  # shorter than its line says
        raise DamagedError(f"expected {form.stop} bytes in {payload.path}: {error}", (str(payload.path),)) from None


def _accepts(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic)


def is_shared(value: Any) -> bool:
    """Tell whether a value is a SharedMemoryArray."""
    memory = loaded("ataraxis_data_structures.memory.array")
    return memory is not None and isinstance(value, memory.SharedMemoryArray)


def shared_copy(value: Any) -> np.ndarray[Any, Any]:
    """Return a copy of a SharedMemoryArray, made under its lock.

    Raises:
        TornArrayError: A process died while it wrote to the array, and nobody has said since that the data is right.
    """
    is_strict, value.strict = value.strict, True  # what may be torn is refused, not stored with a warning
    try:
        copy: np.ndarray[Any, Any] = np.asarray(value.read())
    finally:
        value.strict = is_strict
    return copy


def _write_shared(value: Any, file: PayloadFile) -> About:
    return _write(shared_copy(value), file)


def _write(value: Any, file: PayloadFile) -> About:
    array = as_array(value)
    about = about_of(array)
    file.write(npy.header(about["dtype"], about["order"], array.shape))
    file.write(bytes_of(array))
    return {**about, "scalar": True} if isinstance(value, np.generic) else about


def _read(payload: Payload, about: About) -> Any:
    array = in_memory(payload.data(), about)
    return array[()] if about.get("scalar") is True else array


def _open(payload: Payload, about: About) -> Any:
    return _read(payload, about) if about.get("scalar") is True else mapped(payload, about)


def _about(path: Path) -> About:
    try:
        with path.open("rb") as file:
            read = _HEADERS[np.lib.format.read_magic(file)]
            shape, is_fortran, dtype = read(file)
            offset = file.tell()
    except (ValueError, OSError, KeyError) as error:
        raise DamagedError(f"expected an array in {path}: {error}", (str(path),)) from None
    order = "F" if is_fortran else "C"
    return {"dtype": npy.descr_of(dtype), "offset": offset, "order": order, "shape": [*shape]}


ARRAY = Kind("array", lambda _: ".npy", _accepts, _write, _read, _open, format="npy", about=_about)
SHARED = replace(ARRAY, accepts=is_shared, write=_write_shared)
