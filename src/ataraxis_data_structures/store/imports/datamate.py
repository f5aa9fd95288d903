"""Take over a tree that datamate 1.x wrote: arrays, tables, files and configurations, in one transaction."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...errors import StoreError
from ..directory import settings
from ..directory.classes import TYPE
from ..directory.roots import Home
from ..kinds.libraries import library
from ..names import FOLDER, checked
from ..store import Store
from .datafolio import Imported

_DATASET = "data"
_BASE = "Directory"  # the type that datamate writes for a directory of no class of its own


def import_directory(source: str | Path, target: str | Path) -> Imported:
    """Take over a tree that datamate wrote into a new store; the tree itself is only read.

    Arrays stay HDF5 files, in one span that is mapped without HDF5. A table becomes Parquet. `config`, `status` and
    names stay, so `Directory(path)` and `Directory(config)` find what they found. Every other file is kept as it is.

    Args:
        source: The tree: what was given to `set_root_dir`, or a folder below it.
        target: Another folder, which has no items.

    Returns:
        What was taken over, and what was not and why.

    Raises:
        FileNotFoundError: There is no such folder.
        StoreError: It holds nothing, or the target has items or lies in it.
        ImportError: The extra `hdf5`, or for tables `tables`, is not installed.
    """
    tree, folder = Path(source).absolute(), Path(target).absolute()
    if not tree.is_dir():
        raise FileNotFoundError(f"expected a folder that datamate wrote, got none: {tree}")
    if folder == tree or tree in folder.parents:
        raise StoreError(f"expected a folder outside of {tree} to import into, got {folder}")
    files = list(_files(tree))
    if not any(path.suffix == ".h5" or path.name == settings.META_FILE for path in files):
        raise StoreError(f"expected .h5 files or {settings.META_FILE}, as datamate writes them, got none in {tree}")
    store = Store(folder)
    if len(store):
        raise StoreError(f"expected a store without items to import into, got {store.path} with {len(store)}")
    report = Imported()
    with store.batch():
        for path in files:
            _take(store, path, path.relative_to(tree), report)
    return report


def _files(tree: Path) -> Iterator[Path]:
    for path in sorted(tree.rglob("*")):
        if path.is_file() and FOLDER not in path.relative_to(tree).parts:
            yield path


def _take(store: Store, path: Path, place: Path, report: Imported) -> None:
    take = _BY_NAME.get(path.name) or _BY_SUFFIX.get(path.suffix) or _take_file
    try:
        checked(place.as_posix())
        report.items.append(take(store, path, place, report))
    except StoreError as error:  # a name that no item has
        report.left[place.as_posix()] = str(error)


def _take_file(store: Store, path: Path, place: Path, _: Imported) -> str:
    store.add(place.as_posix(), path)
    return place.as_posix()


def _take_array(store: Store, path: Path, place: Path, report: Imported) -> str:
    h5 = library("h5py", "hdf5")
    name = place.with_suffix("").as_posix()
    try:
        with h5.File(path, "r") as file:
            array = file[_DATASET][()] if [*file] == [_DATASET] else None
        store.add(name, np.asarray(array), format="h5")
    except (OSError, TypeError):  # no array of numbers or bytes: another program's file, or texts of any length
        report.as_files.append(place.as_posix())
        return _take_file(store, path, place, report)
    return name


def _take_table(store: Store, path: Path, place: Path, report: Imported) -> str:
    pandas = library("pandas", "tables")
    try:
        store.add(place.with_suffix("").as_posix(), pandas.read_csv(path))
    except (ValueError, TypeError):  # no table, by pandas's own reading
        report.as_files.append(place.as_posix())
        return _take_file(store, path, place, report)
    return place.with_suffix("").as_posix()


def _take_meta(store: Store, path: Path, place: Path, report: Imported) -> str:
    meta = _loaded(path)
    prefix = place.parent.as_posix()
    home = Home(store.path, "" if prefix == "." else prefix)
    if meta is None:
        report.as_files.append(place.as_posix())
        return _take_file(store, path, place, report)
    given = meta.get("config") or meta.get("spec") or {}
    config = settings.config_of({key: value for key, value in given.items() if (key, value) != (TYPE, _BASE)})
    status = str(meta.get("status") or settings.DONE)
    settings.write_meta(store, home, config or None, status, is_found=status == settings.DONE)
    return home.item(settings.META)


def _loaded(path: Path) -> dict[str, Any] | None:
    """Return what a record says; None where it is no record of datamate's."""
    try:
        meta = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
    return meta if isinstance(meta, dict) and isinstance(meta.get("config") or {}, dict) else None


_Take = Callable[[Store, Path, Path, Imported], str]
_BY_NAME: dict[str, _Take] = {settings.META_FILE: _take_meta}
_BY_SUFFIX: dict[str, _Take] = {".h5": _take_array, ".csv": _take_table}
