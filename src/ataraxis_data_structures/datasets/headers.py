"""What a file, folder or mapping of arrays holds, by headers alone: names, dtypes and shapes; never a pickle."""

import ast
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_HEADER_BYTES = 1 << 16  # more than any honest header; a literal of unlimited size could exhaust the memory
_BLOCK_BYTES = 4 << 20
_MOST_LINKS = 8
_FAULTS = (ValueError, TypeError, KeyError, SyntaxError, EOFError, RecursionError, MemoryError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Entry:
    """A named array: its shape and the name of its dtype; `fault` says why there is none."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    fault: str = ""


class Source(Protocol):
    """Where named arrays lie."""

    def find(self, name: str) -> Entry | None:
        """Return what stands under a name, from its header; None if nothing does."""

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield the values of an entry without fault, a few MiB at a time."""

    def read(self, name: str) -> NDArray[Any]:
        """Return the values of an entry without fault."""


def open_source(place: Any) -> AbstractContextManager[Source]:
    """Open a `.npz` or HDF5 file, a folder of `.npy` files, or a mapping of arrays.

    A URL such as `s3://bucket/data.npz` is read by ranges through fsspec.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: The file is neither an npz archive nor HDF5.
    """
    if hasattr(place, "keys") and hasattr(place, "__getitem__"):
        return _opened(MappingSource(place))
    if isinstance(place, str) and "://" in place:
        return _remote_source(place)
    path = Path(place)
    if path.is_dir():
        return _opened(FolderSource(path))
    return _file_source(path)


@contextmanager
def _opened(source: Source) -> Iterator[Source]:
    yield source


@contextmanager
def _file_source(path: Path) -> Iterator[Source]:
    with path.open("rb") as file, _stream_source(file, path) as source:
        yield source


@contextmanager
def _remote_source(url: str) -> Iterator[Source]:
    try:
        fsspec = import_module("fsspec")  # an extra
    except ImportError as error:
        raise ImportError(f"expected fsspec for {url}: pip install 'ataraxis-data-structures[remote]'") from error
    # Small blocks: what is wanted are headers, which lie far apart.
    with fsspec.open(url, "rb", block_size=1 << 16) as file, _stream_source(file, url) as source:
        yield source


def _stream_source(file: IO[bytes], place: Path | str) -> AbstractContextManager[Source]:
    start = file.read(8)
    file.seek(0)
    if start == b"\x89HDF\r\n\x1a\n":
        return _hdf5_source(file, place)
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ValueError(f"expected an npz archive or an HDF5 file, got {place} ({error})") from None
    return _npz_source(archive)


@contextmanager
def _npz_source(archive: zipfile.ZipFile) -> Iterator[Source]:
    with closing(archive):
        yield NpzSource(archive)


@contextmanager
def _hdf5_source(file: IO[bytes], place: Path | str) -> Iterator[Source]:
    # By its path where there is one: a file object costs a call into Python for each read.
    with import_h5py().File(place if isinstance(place, Path) else file, "r") as opened:
        yield Hdf5Source(opened)


def import_h5py() -> Any:
    """Return h5py, or say how to install it."""
    try:
        return import_module("h5py")  # an extra
    except ImportError as error:
        raise ImportError("expected h5py for HDF5: pip install 'ataraxis-data-structures[hdf5]'") from error


def read_npy_header(stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Return dtype, shape, whether the order is Fortran's, and how many bytes the header takes.

    Raises:
        ValueError: The bytes are no header of a `.npy` file of version 1 to 3.
    """
    start = stream.read(10)
    if len(start) < 10 or start[:6] != _MAGIC or start[6] not in (1, 2, 3):
        raise ValueError(f"expected a .npy header, got {start[:8]!r}")
    if start[6] > 1:
        start += stream.read(2)
    size = int.from_bytes(start[8:], "little")
    if size > _HEADER_BYTES:
        raise ValueError(f"expected a .npy header of at most {_HEADER_BYTES} bytes, got {size}")
    text = stream.read(size)
    if len(text) < size:
        raise ValueError(f"expected a .npy header of {size} bytes, got {len(text)}")
    # A literal and nothing else: no name in it is looked up.
    found = ast.literal_eval(text.decode("utf-8" if start[6] > 2 else "latin-1").strip())
    shape, order = found["shape"], found["fortran_order"]
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"expected a shape, got {shape!r}")
    dtype = np.lib.format.descr_to_dtype(found["descr"])
    return dtype, shape, bool(order), len(start) + size


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return how a dtype is called: `float32`, `object` (also in records), `str`; records by their fields."""
    if dtype.hasobject and dtype.kind != "T":
        return "object"
    if dtype.names is not None:
        return str(dtype.descr)
    if dtype.subdtype is not None:
        return str(dtype)
    return {"U": "str", "S": "bytes", "T": "str"}.get(dtype.kind, dtype.name)


def _npy_entry(stream: IO[bytes], size: int) -> Entry:
    """Return what a `.npy` file of so many bytes holds."""
    try:
        dtype, shape, _, header_bytes = read_npy_header(stream)
    except _FAULTS as error:
        return Entry(fault=f"damaged: {error}")
    if dtype.hasobject:
        return Entry(shape, "object")
    want = header_bytes + math.prod(shape) * dtype.itemsize
    if size != want:
        return Entry(fault=f"damaged: expected {want} bytes, got {size}")
    return Entry(shape, dtype_name(dtype))


def _npy_blocks(stream: IO[bytes]) -> Iterator[NDArray[Any]]:
    dtype, shape, _, _ = read_npy_header(stream)
    left = math.prod(shape) * dtype.itemsize
    step = max(_BLOCK_BYTES // dtype.itemsize, 1) * dtype.itemsize if dtype.itemsize else 1
    while left:
        data = _exactly(stream, min(step, left))
        left -= len(data)
        yield np.frombuffer(data, dtype)


def _npy_array(stream: IO[bytes]) -> NDArray[Any]:
    dtype, shape, fortran, _ = read_npy_header(stream)
    data = bytearray(_exactly(stream, math.prod(shape) * dtype.itemsize))
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"expected {size} bytes, got {len(data)}")
    return data


class NpzSource:
    """The members of an npz archive; stored ones cost a few KiB each, compressed ones are inflated as far as needed."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {info.filename: info for info in archive.infolist()}

    def find(self, name: str) -> Entry | None:
        """Return what stands under a name."""
        info = self._members.get(f"{name}.npy")
        if info is None:
            return Entry(fault="not an array") if name in self._members else None
        try:
            with self._archive.open(info) as member:
                return _npy_entry(member, info.file_size)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, zlib_error()) as error:
            return Entry(fault=f"damaged: {error}")

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield the values; the archive's CRC-32 is checked at the end."""
        with self._archive.open(f"{name}.npy") as member:
            yield from _npy_blocks(member)

    def read(self, name: str) -> NDArray[Any]:
        """Return the values."""
        with self._archive.open(f"{name}.npy") as member:
            return _npy_array(member)


def zlib_error() -> type[Exception]:
    """Return what a damaged compressed member raises."""
    import zlib  # noqa: PLC0415 stored members need none

    return zlib.error


class FolderSource:
    """The `.npy` files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> Entry | None:
        """Return what stands in the file of a name."""
        path = self._folder / f"{name}.npy"
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return _npy_entry(file, path.stat().st_size)

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield the values."""
        with (self._folder / f"{name}.npy").open("rb") as file:
            yield from _npy_blocks(file)

    def read(self, name: str) -> NDArray[Any]:
        """Return the values."""
        with (self._folder / f"{name}.npy").open("rb") as file:
            return _npy_array(file)


class MappingSource:
    """Arrays, or what becomes one, under their names: a dict, a Directory, an open npz file."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping

    def find(self, name: str) -> Entry | None:
        """Return what stands under a name; what has a dtype and a shape is not converted."""
        if name not in self._mapping:
            return None
        value = self._mapping[name]
        if isinstance(value, str):
            return Entry((), "str")
        if not (hasattr(value, "dtype") and hasattr(value, "shape")):
            try:
                value = np.asarray(value)
            except (ValueError, TypeError) as error:  # rows of different lengths
                return Entry(fault=str(error))
        return Entry(tuple(map(int, value.shape)), dtype_name(np.dtype(value.dtype)))

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield the values."""
        yield from _rows(self.read(name))

    def read(self, name: str) -> NDArray[Any]:
        """Return the values."""
        return np.asarray(self._mapping[name])


class Hdf5Source:
    """Datasets by their paths and attributes as `dataset@attribute`; the root's attributes are `@attribute`.

    What leads to another file (external links and storage, virtual datasets) is a fault.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def find(self, name: str) -> Entry | None:
        """Return what stands under a name."""
        path, is_attribute, attribute = name.partition("@")
        held, fault = self._walk(path)
        if held is None or (is_attribute and attribute not in held.attrs):
            return Entry(fault=fault) if fault else None
        if is_attribute:
            found = held.attrs.get_id(attribute)
        elif not hasattr(held, "shape"):
            return Entry(fault="a group")
        elif held.is_virtual or held.external:
            return Entry(fault="data in another file")
        else:
            found = held
        if found.shape is None:
            return Entry(fault="an empty dataspace")
        return Entry(found.shape, _hdf5_dtype(found.dtype))

    def _walk(self, path: str, depth: int = 0) -> tuple[Any, str]:
        """Return the object at a path and why there is none, following soft links but never into another file."""
        h5py = import_h5py()
        held = self._file
        walked = ""
        for part in filter(None, path.split("/")):
            if not hasattr(held, "keys") or part not in held.keys():  # noqa: SIM118 `in held` follows a link
                return None, ""
            link = held.get(part, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return None, "a link to another file"
            if isinstance(link, h5py.SoftLink):
                if depth == _MOST_LINKS:
                    return None, "too many links"
                target = link.path if link.path.startswith("/") else f"{walked}/{link.path}"
                held, fault = self._walk(target, depth + 1)
                if held is None:
                    return None, fault or "a link that leads nowhere"
            else:
                held = held[part]
            walked += f"/{part}"
        return held, ""

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield the values."""
        if "@" in name:
            yield self.read(name)
            return
        dataset = self._file[name]
        if not dataset.shape:
            yield np.asarray(dataset[()])
            return
        rows = max(_BLOCK_BYTES // max(dataset.dtype.itemsize * math.prod(dataset.shape[1:]), 1), 1)
        for start in range(0, dataset.shape[0], rows):
            yield dataset[start : start + rows]

    def read(self, name: str) -> NDArray[Any]:
        """Return the values."""
        path, is_attribute, attribute = name.partition("@")
        held = self._file[path or "/"]
        return np.asarray(held.attrs[attribute] if is_attribute else held[()])


def _hdf5_dtype(dtype: np.dtype[Any]) -> str:
    h5py = import_h5py()
    return "str" if h5py.check_string_dtype(dtype) is not None else dtype_name(dtype)


def _rows(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    if not array.ndim or not array.size:
        yield array
        return
    rows = max(_BLOCK_BYTES * len(array) // max(array.nbytes, 1), 1)
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
