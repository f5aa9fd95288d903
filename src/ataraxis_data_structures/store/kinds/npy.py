"""Headers of .npy files, of which every byte follows from dtype, order and shape."""

from typing import Any

import numpy as np

from ...errors import DamagedError

_MAGIC = b"\x93NUMPY\x01\x00"
_GROWTH_DIGITS = 21  # NumPy leaves room for as many digits of rows
_ALIGNMENT = 64


def descr_of(dtype: np.dtype[Any]) -> Any:
    """Return what a header says of a dtype: text, or a list for records.

    Raises:
        TypeError: Elements of this dtype can't be kept as bytes.
    """
    if dtype.hasobject:
        raise TypeError(f"expected an array of numbers, text or records, got {dtype}: objects can't be kept as bytes")
    if dtype.metadata is not None and dtype.fields is None:  # as h5py has it, of which nothing is kept
        dtype = np.dtype(dtype.str)
    return np.lib.format.dtype_to_descr(dtype)


def dtype_of(descr: Any) -> np.dtype[Any]:
    """Return the dtype of a description that went through JSON.

    Raises:
        DamagedError: It describes none.
    """
    try:
        dtype = np.lib.format.descr_to_dtype(_tuples(descr))
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError, SyntaxError):
        dtype = None
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise DamagedError(f"expected a dtype in the ledger, got {descr!r}")
    return dtype


def _tuples(descr: Any) -> Any:
    """Return a description with the tuples that JSON made lists of."""
    if isinstance(descr, str):
        return descr
    return [_field(field) for field in descr]


def _field(field: Any) -> Any:
    name, what, *shape = field
    name = tuple(name) if isinstance(name, list) else name
    return (name, _tuples(what), *(tuple(part) for part in shape))


def header(descr: Any, order: str, shape: tuple[int, ...]) -> bytes:
    """Return the header that NumPy writes for an array in format 1.0.

    Raises:
        TypeError: The description does not fit into this format.
    """
    text = f"{{'descr': {descr!r}, 'fortran_order': {order == 'F'}, 'shape': {shape!r}, }}"
    if shape:
        text += " " * (_GROWTH_DIGITS - len(repr(shape[-1 if order == "F" else 0])))
    try:
        body = text.encode("latin-1")
    except UnicodeEncodeError:
        raise TypeError(f"expected field names in Latin-1, got {descr!r}") from None
    size = -(-(len(_MAGIC) + 2 + len(body) + 1) // _ALIGNMENT) * _ALIGNMENT
    if size - len(_MAGIC) - 2 > 0xFFFF:
        raise TypeError(f"expected a dtype whose description has less than 64 KiB, got {len(body)} bytes")
    body = body.ljust(size - len(_MAGIC) - 3) + b"\n"
    return _MAGIC + len(body).to_bytes(2, "little") + body
