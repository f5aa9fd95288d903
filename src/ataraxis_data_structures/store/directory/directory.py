"""The class Directory: a folder whose arrays, tables and files are attributes."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..kinds.array import is_shared, shared_copy
from ..kinds.libraries import library, loaded
from ..store import Store
from . import building, settings
from .classes import arguments_of, base_of, class_for, is_builder, run_builder, whole_config
from .comparison import diff, tree_lines
from .frames import frame_of, text_columns
from .roots import Home, get_root_dir, home_of, path_of

_HIDDEN = "_"
_TABLES = ("DataFrame", "Series")


class _Found(type):
    """Makes the call of a class find a directory, or build it."""

    def __call__(cls, *args: Any, **named: Any) -> Any:
        name, given = arguments_of(args, named)
        kind = class_for(cls, given)
        if name is None:
            return _by_config(kind, whole_config(kind, given))
        home = home_of(path_of(name))
        if home.path.is_file():
            raise FileExistsError(f"expected a folder or nothing at {home.path}, got a file")
        found = _bound(kind, home)
        is_there = settings.read_meta(home) is not None or bool(home.names())
        if given is None and (is_there or not is_builder(kind)):
            return _bound(class_for(kind, found.config), home)
        config = whole_config(kind, given)
        if config is None:
            raise FileNotFoundError(f"expected a config to build {home.path}, got none, and it is not there")
        if not building.check(home, config):
            _build(kind, home, config, is_filled=is_builder(kind) and not is_there)
        return found


def _bound(cls: type, home: Home) -> Any:
    made: Any = object.__new__(cls)
    object.__setattr__(made, "_home", home)
    return made


def _by_config(cls: type, config: settings.Config | None) -> Any:
    top = home_of(path_of(get_root_dir().absolute()))
    if config is None:
        if is_builder(cls):
            config = settings.Config(type=cls.__qualname__)
        else:
            return _bound(cls, _free(top, cls.__name__))
    found = settings.find(top, config)
    if found is not None:
        return _bound(cls, found)
    # The name follows from the configuration, so that all who want it wait for one lock.
    home = top.below(f"{cls.__name__}_{settings.hash_of(config)[:16]}")
    if settings.read_meta(home) is not None and not building.is_same(home, config):  # it was given another since
        home = _free(top, home.prefix)
    _build(cls, home, config, is_filled=is_builder(cls))
    return _bound(cls, home)


def _free(top: Home, name: str) -> Home:
    number = 0
    while (home := top.below(f"{name}_{number:04x}")).path.exists():
        number += 1
    return home


def _build(cls: type, home: Home, config: settings.Config, *, is_filled: bool) -> None:
    def fill(scratch: Home, _: Store) -> None:
        made = _bound(cls, scratch)
        object.__setattr__(made, "_building", config)
        run_builder(made, config)

    building.build(home, config, fill if is_filled else None)


class Directory(metaclass=_Found):
    """A folder whose arrays, tables, files and sub-directories are attributes; all of it lies in one store.

    `Directory(path)`, `Directory(path, config)`: the directory of that name below the root; one that has another
    configuration is a FileExistsError with the difference. `Directory(config)`: the one with this configuration.
    Where none is, a subclass's `__init__` builds it: of several processes one does and the others wait, and what is
    not built to its end leaves nothing.

    Arrays come as read-only maps of their files. `d["name"]` takes also names that the class itself has.
    """

    _home: Home
    _building: settings.Config | None = None
    __hash__ = None  # type: ignore[assignment]
    Config: ClassVar[type]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Do nothing; a subclass writes its data here."""

    # What is known of it

    @property
    def path(self) -> Path:
        """The folder."""
        return self._home.path

    @property
    def meta(self) -> settings.Config:
        """`config` and `status`, as `_meta.yaml` has them."""
        return settings.Config(config=self.config, status=self.status)

    @property
    def config(self) -> Any:
        """The configuration, None if it has none; assigning one replaces it."""
        if self._building is not None:
            return self._building
        kept = (settings.read_meta(self._home) or {}).get("config")
        return None if kept is None else settings.config_of(kept)

    @config.setter
    def config(self, value: Mapping[str, Any]) -> None:
        store = self._home.writer()
        with store.batch():
            settings.write_meta(store, self._home, settings.config_of(value), settings.DONE)

    @property
    def status(self) -> str:
        """`done`, `running` while a living process builds it, `stopped` where a build failed or was killed."""
        if self._building is not None:
            return settings.RUNNING
        meta = settings.read_meta(self._home)
        return building.state_of(self._home) if meta is None else str(meta.get("status"))

    @property
    def parent(self) -> "Directory":
        """The directory above."""
        return Directory(self.path.parent)

    @property
    def size(self) -> int:
        """The bytes of all items below."""
        store = self._home.reader()
        return sum(store.info(self._home.item(name)).size_bytes for name in self._home.names()) if store else 0

    @property
    def is_empty(self) -> bool:
        """Whether no item that is not hidden lies below."""
        return not self.keys()

    def mtime(self) -> datetime:
        """Return when an item below was last written."""
        store = self._home.reader()
        times = [store.info(self._home.item(name)).created_us for name in self._home.names()] if store else []
        return datetime.fromtimestamp(max(times, default=0) / 1e6, UTC)

    # Reading

    def keys(self) -> list[str]:
        """Return the names of items and sub-directories, sorted; names that begin with `_` are hidden."""
        return sorted({key for name in self._home.names() if not (key := name.split("/")[0]).startswith(_HIDDEN)})

    def items(self) -> list[tuple[str, Any]]:
        """Return names and values."""
        return [(key, self[key]) for key in self.keys()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._find(key) is not None

    def __getitem__(self, key: str) -> Any:
        found = self._find(key)
        if found is None:
            raise KeyError(self._missing(key))
        return found

    def __truediv__(self, key: str) -> Any:
        found = self._find(key)
        return Directory(self.path / key) if found is None else found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._find(name.replace("__", "."))
        if found is None:
            raise AttributeError(self._missing(name))
        return found

    def _find(self, key: str) -> Any:
        """Return a value; None where there is none."""
        store = self._home.reader()
        if store is None:
            return None
        name = self._home.item(key)
        try:
            kind = store.entry_of(name).op["kind"]  # type: ignore[index]
        except KeyError:
            below = self._home.below(key)
            if not store.names_below(below.item("")):
                return None
            return _bound(class_for(base_of(type(self)), (settings.read_meta(below) or {}).get("config")), below)
        if kind != "array":
            return store.get(name)
        array = store.open(name)
        return array.view(np.ndarray) if isinstance(array, np.ndarray) else array

    def _missing(self, key: str) -> str:
        keys = self.keys()
        near = get_close_matches(key, keys, n=3)
        hint = f"; near it: {', '.join(near)}" if near else ""
        return f"expected one of {keys} in {self.path}, got {key!r}{hint}"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key.replace(".", "__") for key in self.keys())]

    # Writing

    def __setitem__(self, key: str, value: Any) -> None:
        store = self._home.writer()
        with store.batch():
            self._clear(store, self._home.item(key), value)
            self._put(store, self._home.item(key), value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "config":
            object.__setattr__(self, name, value)
            return
        if name.startswith("__") or hasattr(type(self), name) or name == "_home":
            raise AttributeError(f'expected a name that the class has not, got {name!r}: write d["{name}"] = ...')
        self[name.replace("__", ".")] = value

    def _clear(self, store: Store, name: str, value: Any) -> None:
        """Remove what a value replaces: items below its name, or the item of its name."""
        is_folder = isinstance(value, Mapping | Directory) or (isinstance(value, Path) and value.is_dir())
        replaced = store.names_below(f"{name}/") if not is_folder else [name] if name in store else []
        if replaced:
            store.delete(replaced, warn_dependents=False)

    def _put(self, store: Store, name: str, value: Any) -> None:
        if isinstance(value, Directory):
            for key in value:
                self._put(store, f"{name}/{key}", value[key])
            if value.config is not None:
                settings.write_meta(store, Home(self._home.root, name), value.config, settings.DONE)
        elif isinstance(value, Mapping):
            for key, part in value.items():
                self._put(store, f"{name}/{key}", part)
        elif isinstance(value, Path):
            self._put_path(store, name, value)
        elif _is_table(value):
            store.add(name, value)
        else:
            store.add(name, shared_copy(value) if is_shared(value) else np.asarray(value), format="h5")

    def _put_path(self, store: Store, name: str, value: Path) -> None:
        if not value.is_dir():
            store.add(name, value)
            return
        for path in sorted(value.rglob("*")):
            if path.is_file():
                store.add(f"{name}/{path.relative_to(value).as_posix()}", path)

    def __delitem__(self, key: str) -> None:
        if self._find(key) is None:
            raise KeyError(self._missing(key))
        store, name = self._home.writer(), self._home.item(key)
        store.delete([found for found in store.names_below(name) if found == name or found.startswith(f"{name}/")],
                     warn_dependents=False)  # fmt: skip

    def __delattr__(self, name: str) -> None:
        try:
            del self[name.replace("__", ".")]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def extend(self, key: str, value: Any) -> None:
        """Append rows to an array or a table, bytes to a file, or all of these to the items of a sub-directory.

        What is not there is made. An array that grows is an .npy file: HDF5 has no arrays that grow at their end.
        """
        store, name = self._home.writer(), self._home.item(key)
        if isinstance(value, Mapping | Directory):
            for part in value:
                _bound(Directory, self._home.below(key)).extend(part, value[part])
        elif isinstance(value, Path):
            self._extend_file(store, name, value)
        elif _is_table(value):
            old = store.get(name) if name in store else None
            table = value if old is None else library("pandas", "tables").concat([old, value], axis=0)
            store.add(name, table)
        else:
            self._extend_array(store, name, np.asarray(value))

    def _extend_array(self, store: Store, name: str, rows: np.ndarray[Any, Any]) -> None:
        if name in store and str((store.entry_of(name).op or {}).get("file")).endswith(".h5"):
            store.add(name, store.get(name), format="npy")
        store.extend(name, rows)

    def _extend_file(self, store: Store, name: str, value: Path) -> None:
        data = value.read_bytes()
        if name in store:
            data = Path(store.get(name)).read_bytes() + data
        staged = store.path / ".axds" / "tmp" / f"{os.getpid()}.{value.name}"
        try:
            staged.write_bytes(data)
            store.add(name, staged)
        finally:
            staged.unlink(missing_ok=True)

    def update(self, other: Any, suffix: str = "") -> None:
        """Take from another directory, or a mapping, the items that are not here."""
        for key in other:
            if key + suffix not in self:
                self[key + suffix] = other[key]

    def move(self, destination: str | Path) -> "Directory":
        """Give the directory another place below the root, without copying; returns it.

        Raises:
            FileExistsError: Something is there.
        """
        target = home_of(path_of(destination))
        if target.root != self._home.root:
            raise ValueError(f"expected a place below {self._home.root}, got {target.path}")
        if target.names():
            raise FileExistsError(f"expected a free place, got {target.path}")
        store = self._home.writer()
        names = {self._home.item(name): target.item(name) for name in self._home.names()}
        config = self.config
        store.rename(names)
        if config is not None:
            with store.batch():
                settings.write_meta(store, target, config, settings.DONE)
        _remove_empty(self.path)
        return Directory(target.path)

    def rmtree(self, y_n: str | None = None) -> None:
        """Delete the directory after a question that `y_n="y"` answers; its versions stay in the store's history."""
        reply = y_n or input(f"delete {self.path} recursively, y/n?")
        names = self._home.names()
        if reply.lower() != "y" or not names:
            return
        self._home.writer().delete([self._home.item(name) for name in names], warn_dependents=False)
        _remove_empty(self.path)

    # Comparing and converting

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Directory):
            return NotImplemented
        return self.path == other.path or not any(diff(self, other).values())

    def diff(self, other: "Directory") -> dict[str, list[str]]:
        """Return, for each of two directories by its name, what it has or holds that the other has not."""
        return diff(self, other)

    def __copy__(self) -> "Directory":
        return _bound(type(self), self._home)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: Any) -> "Directory":
        return self.__copy__()

    def __reduce__(self) -> Any:
        return Directory, (self.path,)

    def __repr__(self) -> str:
        lines = tree_lines(self._home, 2)
        return "\n".join([*lines[:25], *([f"    ... {len(lines) - 25} more"] if len(lines) > 25 else [])])

    def tree(self, level: int = -1) -> None:
        """Print what lies below, `level` folders deep (-1: all)."""
        sys.stdout.write("\n".join(tree_lines(self._home, level)) + "\n")

    def to_dict(self) -> dict[str, Any]:
        """Return all arrays by name."""
        return {key: value for key, value in self.items() if isinstance(value, np.ndarray | np.generic)}

    def to_df(self, dtypes: Mapping[str, Any] | None = None) -> Any:
        """Return a DataFrame of the arrays of one length; one element is repeated."""
        return frame_of(self.to_dict(), dtypes)

    @classmethod
    def from_df(cls, df: Any, dtypes: Mapping[str, Any] | None = None, *args: Any, **named: Any) -> Any:
        """Make a directory of which each column of a DataFrame is an array; texts become bytes."""
        directory = cls(*args, **named)
        for key, column in text_columns(df, dtypes).items():
            directory[key] = column
        return directory


def _is_table(value: Any) -> bool:
    return type(value).__name__ in _TABLES and any(loaded(name) for name in ("pandas", "polars"))


def _remove_empty(folder: Path) -> None:
    """Remove folders that hold nothing any more; a file of somebody's keeps its own."""
    for path in sorted((found for found in folder.rglob("*") if found.is_dir()), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        folder.rmdir()
