"""Arrays and archives behind a URL: what is asked for is read by ranges, and nothing else is sent."""

import ast
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedError
from ..kinds import kind_of
from ..kinds.npy import dtype_of
from ..ledger.fold import Entry, Fold, Op
from ..ledger.lines import scan
from ..names import FOLDER, PAYLOADS, contained, split_version
from .chain import read_chain
from .place import Place

_HEADER_BYTES = 1 << 12
_LOCAL_BYTES = 30  # of a zip member's own header, before its name


class RemoteArray:
    """An array behind a URL: indexing its first axis reads these rows alone.

    `a[5]`, `a[5:9]` and `a[5:9, ..., 2]` give arrays in memory; `np.asarray(a)` reads all.
    """

    def __init__(self, place: Place, name: str, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._place = place
        self._name = name
        self._offset = offset
        self.dtype = dtype
        self.shape = shape

    @property
    def ndim(self) -> int:
        """Return how many axes there are."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Return the bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"RemoteArray({self._place.url}/{self._name}, {self.dtype}, {self.shape})"

    def __getitem__(self, key: Any) -> Any:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis or first is None or not self.shape:
            return np.asarray(self)[key]
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            if step < 1:
                return np.asarray(self)[key]
            return self._rows(start, max(start, stop))[(slice(None, None, step), *rest)]
        index = int(np.arange(len(self))[first]) if np.ndim(first) == 0 else None
        if index is None:
            return np.asarray(self)[key]
        return self._rows(index, index + 1)[(0, *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 NumPy's protocol
        rows = self._rows(0, len(self)) if self.shape else self._read(0, self.dtype.itemsize).reshape(())
        return rows if dtype is None else rows.astype(dtype)

    def _rows(self, start: int, stop: int) -> NDArray[Any]:
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        return self._read(start * row, stop * row).reshape(stop - start, *self.shape[1:])

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        data = b""
        if stop > start:
            data = self._place.read_range(self._name, self._offset + start, self._offset + stop)
        if len(data) != stop - start:
            raise DamagedError(f"expected {stop - start} bytes of {self._place.url}/{self._name}, got {len(data)}")
        return np.frombuffer(bytearray(data), self.dtype)


class RemoteArrays(Mapping[str, Any]):
    """The arrays of an `.npz` behind a URL; a stored member is a RemoteArray, a compressed one is read as a whole."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        with place.open(name) as file, zipfile.ZipFile(file) as archive:
            self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    def __getitem__(self, name: str) -> Any:
        info = self._members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            with self._place.open(self._name) as file, zipfile.ZipFile(file) as archive, archive.open(info) as member:
                return np.lib.format.read_array(member, allow_pickle=False)
        at = info.header_offset
        local = self._place.read_range(self._name, at, at + _LOCAL_BYTES)
        at += _LOCAL_BYTES + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        return _npy(self._place, self._name, at)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def open_remote(url: str | Path, name: str | None = None, *, options: Mapping[str, Any] | None = None) -> Any:
    """Open an item of a store that was pushed to a URL, or an `.npy` or `.npz` file there, and read it by ranges.

    Args:
        url: Of the store, or of the file.
        name: The item, or `name@version`; None: the URL is a file's.
        options: Of its file system, as keys and endpoints.

    Returns:
        A RemoteArray for an array, a mapping of them for several, an open file for any other kind.

    Raises:
        KeyError: The store has no such item.
        ImportError: fsspec (extra `remote`) is not installed.
    """
    if name is None:
        folder, _, file = str(url).rpartition("/")
        return _opened(Place(folder or "/", options), file)
    place = Place(url, options)
    op = _op_of(place, name)
    if op.get("kind") == "reference":
        return open_remote(str(op.get("uri")), options=options)
    file = f"{FOLDER}/{PAYLOADS}/{contained(op.get('file'), 'file')}"
    about = op.get("about", {})
    if op.get("kind") == "array" and about.get("order", "C") == "C":
        return RemoteArray(place, file, int(about["offset"]), dtype_of(about["dtype"]), tuple(about["shape"]))
    return _opened(place, file)


def _op_of(place: Place, name: str) -> Op:
    records, _, _ = scan(read_chain(place)[0])
    fold = Fold()
    fold.apply(records)
    base, version = split_version(name)
    entry: Entry | None = fold.entry(base) if version is None else fold.version(base, version)
    if entry is None or entry.op is None:
        raise KeyError(f"expected an item of {place.url}, got {name}")
    kind_of(entry.op.get("kind"), str(entry.op.get("file", "")))  # one that this library knows
    return entry.op


def _opened(place: Place, file: str) -> Any:
    if file.endswith(".npz"):
        return RemoteArrays(place, file)
    return _npy(place, file, 0) if file.endswith(".npy") else place.open(file)


def _npy(place: Place, file: str, start: int) -> Any:
    """Open an array by its own header, which lies at `start`."""
    head = place.read_range(file, start, start + _HEADER_BYTES)
    size_bytes = 2 if head[6:7] == b"\x01" else 4
    at = 8 + size_bytes
    length = int.from_bytes(head[8:at], "little")
    if head[:6] != b"\x93NUMPY" or length > _HEADER_BYTES - at:
        raise DamagedError(f"expected an array at {place.url}/{file}, got {head[:8]!r}")
    found = ast.literal_eval(head[at : at + length].decode("utf-8"))
    array = RemoteArray(
        place, file, start + at + length, np.lib.format.descr_to_dtype(found["descr"]), tuple(found["shape"])
    )
    if array.dtype.hasobject:
        raise DamagedError(f"expected an array of plain values at {place.url}/{file}, got objects")
    return np.asarray(array).reshape(array.shape[::-1]).T if found["fortran_order"] else array
