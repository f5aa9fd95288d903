"""A data set made to keep a contract: older names and wider dtypes are mended, what is missing is refused."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..system.atomic import atomic_write
from ..system.disk import sync_folder
from .contract import Contract, find_field, fits_dtype
from .headers import Source, import_h5py, open_source
from .known import find_contract

_SUFFIXES = (".npz", ".h5", ".hdf5")


def convert(
    source: Any, contract: Contract | str, destination: Path | str | None = None
) -> dict[str, NDArray[Any]] | Path:
    """Return the fields of a contract from a data set, under their names and with their dtypes; or write them.

    Older names (`aliases`) become the names of the contract; a dtype that is wider or of another kind of number is
    cast where NumPy calls that `same_kind` (float64 to float32, uint16 to float32; never complex to real). Fields that
    the contract does not name are left out.

    Args:
        source: What `Contract.check` takes.
        contract: A contract, or the name of one that comes with the library.
        destination: An `.npz`, `.h5` or `.hdf5` file to write, whole or not at all. None: the arrays are returned.

    Returns:
        The arrays by their names, or the path that was written.

    Raises:
        ContractError: What can't be mended, all of it; nothing is written.
        ValueError: The destination ends in something else.
    """
    known = find_contract(contract) if isinstance(contract, str) else contract
    if destination is not None and Path(destination).suffix.lower() not in _SUFFIXES:
        raise ValueError(f"expected a destination that ends in {', '.join(_SUFFIXES)}, got {destination}")
    with open_source(source) as opened:
        arrays = _mended(opened, known)
    known.check(arrays, values=True).require_ok(source if isinstance(source, str | Path) else "the data set")
    if destination is None:
        return arrays
    path = Path(destination)
    if path.suffix.lower() == ".npz":
        write_npz(path, arrays)
    else:
        with new_hdf5(path) as file:
            write_hdf5(file, arrays)
    return path


def _mended(source: Source, contract: Contract) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name, wanted in contract.fields.items():
        stored, entry = find_field(source, name, wanted)
        if entry is None or entry.fault or entry.dtype == "object":
            continue  # the check of what was mended tells of it
        values = source.read(stored)
        if not fits_dtype(entry.dtype, wanted.dtype):
            target = wanted.dtype if isinstance(wanted.dtype, str) else (wanted.dtype or ("",))[0]
            with suppress(TypeError):  # a kind, or no dtype that NumPy knows
                if np.can_cast(values.dtype, np.dtype(target), "same_kind"):
                    values = values.astype(target)
        arrays[name] = values
    return arrays


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an uncompressed npz archive, whole or not at all."""
    with atomic_write(path, binary=True) as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def new_hdf5(path: Path) -> Iterator[Any]:
    """Give an HDF5 file to write that gets its name, synced, when the block ends; on an exception nothing changes."""
    h5py = import_h5py()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(temporary, "w") as file:
            yield file
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:  # h5py's texts are a paragraph of addresses
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        raise
    sync_folder(path.parent)


def write_hdf5(file: Any, arrays: Mapping[str, Any]) -> None:
    """Write datasets, and attributes under names with `@`, as `Contract` names them."""
    for name in sorted(arrays, key=lambda name: "@" in name):  # an attribute needs its dataset
        path, is_attribute, attribute = name.partition("@")
        if not is_attribute:
            file.create_dataset(name, data=arrays[name])
            continue
        value = np.asarray(arrays[name])
        file[path or "/"].attrs[attribute] = str(value) if value.dtype.kind in "UO" else value
