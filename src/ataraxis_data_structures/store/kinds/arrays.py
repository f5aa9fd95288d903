"""Dictionaries of arrays as uncompressed .npz files."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DamagedError
from . import npy
from .array import as_array
from .kind import About, Kind, Payload, PayloadFile

_SUFFIX = ".npy"
_BROKEN = (ValueError, zipfile.BadZipFile, EOFError, KeyError, OSError, NotImplementedError, OverflowError)


class ArrayFile(Mapping[str, Any]):
    """The arrays of a file, each read when it is asked for; what is read is the caller's."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self._names = list(_members(payload.path))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"expected one of {self._names}, got {name!r}")
        try:
            with zipfile.ZipFile(self._payload.path) as archive:
                return np.lib.format.read_array(archive.open(name + _SUFFIX), allow_pickle=False)
        except _BROKEN as error:
            raise _damaged(self._payload, error) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _members(file: Any) -> Iterator[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield from (name.removesuffix(_SUFFIX) for name in archive.namelist())
    except _BROKEN as error:
        raise DamagedError(f"expected arrays in {file}: {error}", (str(file),)) from None


def _damaged(payload: Payload, error: Exception) -> DamagedError:
    return DamagedError(f"expected arrays in {payload.path}: {error}", (str(payload.path),))


def _accepts(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(type(key) is str for key in value)
        and all(isinstance(part, np.ndarray | np.generic) for part in value.values())
    )


def _accepts_unasked(value: Any) -> bool:
    """Leave a dictionary of nothing but scalars to JSON."""
    return _accepts(value) and any(isinstance(part, np.ndarray) for part in value.values())


def _write(value: Any, file: PayloadFile) -> About:
    about: About = {}
    with zipfile.ZipFile(_Appended(file), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, part in value.items():
            array = as_array(part)
            info = zipfile.ZipInfo(name + _SUFFIX)  # dated 1980: equal arrays are equal bytes
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
            about[name] = {"dtype": npy.descr_of(array.dtype), "shape": [*array.shape]}
    return about


class _Appended(io.RawIOBase):
    """A payload as `zipfile` wants it: a stream that can't seek."""

    def __init__(self, file: PayloadFile) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


def _read(payload: Payload, _: About) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(payload.data()), allow_pickle=False) as archive:
            return dict(archive)
    except _BROKEN as error:
        raise _damaged(payload, error) from None


def _open(payload: Payload, _: About) -> Mapping[str, Any]:
    return ArrayFile(payload)


def _about(path: Path) -> About:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {
                name: {"dtype": npy.descr_of(archive[name].dtype), "shape": [*archive[name].shape]} for name in archive
            }
    except _BROKEN as error:
        raise DamagedError(f"expected arrays in {path}: {error}", (str(path),)) from None


ARRAYS = Kind("arrays", lambda _: ".npz", _accepts_unasked, _write, _read, _open, format="npz", about=_about)
SCALARS = replace(ARRAYS, accepts=_accepts, is_default=False)
