"""Where directories lie: the root, the store that a path belongs to, and the item names below it."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..names import FOLDER, SETTINGS
from ..store import Store

_root: list[Path] = [Path()]
_block_root: ContextVar[Path | None] = ContextVar("root of directories", default=None)
_stores: dict[Path, tuple[int, Store]] = {}
_stores_lock = threading.Lock()


def set_root_dir(root_dir: str | Path | None) -> None:
    """Set the folder that names of directories are relative to; None: the working folder."""
    _root[0] = Path() if root_dir is None else Path(root_dir)


def get_root_dir() -> Path:
    """Return the folder that names of directories are relative to."""
    return _block_root.get() or _root[0]


@contextmanager
def set_root_context(root_dir: str | Path | None = None) -> Iterator[None]:
    """Set the root for a block of this thread alone."""
    token = _block_root.set(Path() if root_dir is None else Path(root_dir))
    try:
        yield
    finally:
        _block_root.reset(token)


def root(root_dir: str | Path) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function to run with a root of its own, unless a block has set one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"expected a function to give a root to, got {function!r}")

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if _block_root.get() is not None:
                return function(*arguments, **named)
            with set_root_context(root_dir):
                return function(*arguments, **named)

        return call

    return decorate


def path_of(name: str | Path) -> Path:
    """Return the absolute path of a directory that is named relative to the root, or by `@`, `.`, `..`, `~`."""
    text = str(name)
    if isinstance(name, str) and text[:1] not in (".", "~", "@"):
        return _absolute(get_root_dir() / text)
    if text[:1] == "@":
        return _absolute(get_root_dir() / text[1:].lstrip("/"))
    return _absolute(Path(name).expanduser())


def _absolute(path: Path) -> Path:
    return path.absolute() if ".." not in path.parts else path.resolve()


@dataclass(frozen=True)
class Home:
    """The store of a directory, and what its items' names begin with ("" at the top)."""

    root: Path
    prefix: str

    @property
    def path(self) -> Path:
        """Return the folder itself."""
        return self.root / self.prefix

    def item(self, key: str) -> str:
        """Return the name of an item."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def below(self, key: str) -> "Home":
        """Return a sub-directory."""
        return Home(self.root, self.item(key))

    def reader(self) -> Store | None:
        """Return the store, None where none was made yet."""
        return _store(self.root, is_made=False)

    def writer(self) -> Store:
        """Return the store, which the first writer makes."""
        made = _store(self.root, is_made=True)
        if made is None:
            raise FileNotFoundError(f"expected a store, got a folder that was removed: {self.root}")
        return made

    def names(self) -> list[str]:
        """Return the names of all items below, without the prefix, sorted."""
        store = self.reader()
        start = self.item("")
        return [] if store is None else [name[len(start) :] for name in store.names_below(start)]


def home_of(path: Path) -> Home:
    """Return the store that a path belongs to: the nearest above it, else the root, else the path itself."""
    top = _absolute(get_root_dir())
    for parent in (path, *path.parents):
        if parent == top or (parent / FOLDER / SETTINGS).exists():
            return Home(parent, path.relative_to(parent).as_posix().removeprefix("."))
    return Home(path, "")


def _store(root_dir: Path, *, is_made: bool) -> Store | None:
    try:
        inode = (root_dir / FOLDER / SETTINGS).stat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        inode = 0
    known = _stores.get(root_dir)
    if known is not None and known[0] == inode:
        return known[1]
    if not inode and not is_made:
        return None
    with _stores_lock:
        made = Store(root_dir)
        _stores[root_dir] = ((root_dir / FOLDER / SETTINGS).stat().st_ino, made)
    return made
