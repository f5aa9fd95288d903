# cython: language_level=3, boundscheck=False, wraparound=False, autotestdict=False
"""The package that a producer hands to the logger; an extension class, so that a put reads its fields in C."""

cimport cython
from cpython.long cimport PyLong_AsUnsignedLongLong
from cpython.number cimport PyNumber_Index

from dataclasses import FrozenInstanceError, dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class _Fields:
    """What dataclasses.fields, replace and asdict find on a LogPackage."""

    source_id: np.uint8
    acquisition_time: np.uint64
    serialized_data: np.ndarray


cdef uint64_t as_word(object value) except? 0xFFFFFFFFFFFFFFFF:
    """Return a whole number that fits an unsigned 64-bit word; OverflowError or TypeError otherwise."""
    if type(value) is not int:
        value = PyNumber_Index(value)
    return PyLong_AsUnsignedLongLong(value)


cdef uint8_t as_source(object value) except? 0xFF:
    cdef uint64_t word = as_word(value)
    if word > 255:
        raise OverflowError(f"expected a source_id from 0 to 255, got {value}")
    return <uint8_t>word


cdef object as_payload(object value):
    """Return the payload as a contiguous 1-D array of uint8; wider unsigned elements are narrowed one by one."""
    array = np.asarray(value) if isinstance(value, np.ndarray) else np.asarray(memoryview(value))
    if array.dtype.kind not in "ub":
        raise TypeError(f"expected serialized_data of an unsigned or bool type, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"expected one-dimensional serialized_data, got the shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.uint8)


cdef object as_times(object values):
    """Return acquisition times as a contiguous 1-D array of uint64."""
    times = np.asarray(values)
    if times.ndim != 1:
        raise ValueError(f"expected one-dimensional acquisition_times, got the shape {times.shape}")
    if not len(times):
        return times.astype(np.uint64)
    if times.dtype.kind not in "ui":
        raise TypeError(f"expected whole numbers as acquisition_times, got {times.dtype}")
    if times.dtype.kind == "i" and times.min() < 0:
        raise OverflowError(f"expected acquisition_times from 0 to 2**64 - 1, got {times.min()}")
    return np.ascontiguousarray(times, dtype=np.uint64)


cdef object as_rows(object payloads):
    """Return a 2-D array as rows of uint8, each of which is contiguous."""
    if payloads.dtype.kind not in "ub":
        raise TypeError(f"expected payloads of an unsigned or bool type, got {payloads.dtype}")
    rows = payloads.astype(np.uint8, copy=False)
    return rows if rows.strides[1] == 1 and rows.strides[0] >= 0 else np.ascontiguousarray(rows)


# No garbage collection: a payload is a plain array, and a burst of packages must not trigger collections.
@cython.no_gc
@cython.freelist(32)
cdef class LogPackage:
    """One message for the logger: who sent it, when it was acquired, and its bytes.

    `acquisition_time` counts microseconds since the onset of its source, from 0 to 2**64 - 1. `serialized_data` is a
    1-D array of uint8; bool and wider unsigned elements are narrowed one by one, anything else is a TypeError where
    the package is put or its `data` read.
    """

    __match_args__ = ("source_id", "acquisition_time", "serialized_data")
    __dataclass_fields__ = _Fields.__dataclass_fields__
    __dataclass_params__ = _Fields.__dataclass_params__

    def __init__(self, source_id, acquisition_time, serialized_data):
        self.source_id = source_id
        self.acquisition_time = acquisition_time
        self.serialized_data = serialized_data

    @property
    def data(self) -> tuple:
        """The file name of the message, and its stored bytes: source, time (8 bytes, little-endian), payload."""
        cdef uint8_t source = as_source(self.source_id)
        cdef uint64_t stamp = as_word(self.acquisition_time)
        payload = as_payload(self.serialized_data)
        stored = np.empty(9 + payload.size, dtype=np.uint8)
        stored[0] = source
        stored[1:9] = np.frombuffer(int(stamp).to_bytes(8, "little"), dtype=np.uint8)
        stored[9:] = payload
        return f"{int(source):03d}_{int(stamp):020d}.npy", stored

    def __setattr__(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other):
        # A dataclass would compare the arrays by truth, which is an error for most of them; equal means equal here.
        if type(other) is not type(self):
            return NotImplemented
        cdef LogPackage that = <LogPackage>other
        if self.source_id != that.source_id or self.acquisition_time != that.acquisition_time:
            return False
        return self.serialized_data is that.serialized_data or bool(
            np.array_equal(self.serialized_data, that.serialized_data))

    def __hash__(self):
        return hash((self.source_id, self.acquisition_time, self.serialized_data))

    def __repr__(self):
        return (f"{type(self).__qualname__}(source_id={self.source_id!r}, acquisition_time={self.acquisition_time!r}, "
                f"serialized_data={self.serialized_data!r})")

    def __reduce__(self):
        return type(self), (self.source_id, self.acquisition_time, self.serialized_data)
