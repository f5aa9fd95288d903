"""The items of a folio as attributes, and its metadata as a dictionary; both read the store at each use."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from ...errors import ConflictError
from ..store import Store
from .types import METADATA, METADATA_FILE, inputs_of, known_items, told, type_of


class ItemProxy:
    """One item: its value, and what is known of it."""

    def __init__(self, store: Store, read: Callable[[str], Any], name: str) -> None:
        self._store = store
        self._read = read
        self._name = name

    @property
    def content(self) -> Any:
        """Return the value; the path of a file."""
        return self._read(self._name)

    @property
    def description(self) -> str:
        """Return the description."""
        return self._store.info(self._name).note

    @property
    def type(self) -> str:
        """Return what the item is: "included_table", "numpy_array", "model" and the like."""
        return type_of(self._store.info(self._name))

    @property
    def path(self) -> str:
        """Return where the item lies: its plain file, or what a reference leads to."""
        item = self._store.info(self._name)
        return item.uri or str(item.path)

    @property
    def inputs(self) -> list[str]:
        """Return the names of the items that it was made from."""
        return inputs_of(self._store.info(self._name))

    @property
    def dependents(self) -> list[str]:
        """Return the names of the items that were made from it."""
        return self._store.dependents(self._name)

    @property
    def metadata(self) -> dict[str, Any]:
        """Return all that is known of it."""
        return told(self._store.info(self._name))

    def _repr_html_(self) -> str:
        return self._store.info(self._name)._repr_html_()

    def __repr__(self) -> str:
        return f"<{self._name}: {self.type}{f', {self.description}' if self.description else ''}>"


class DataView:
    """The items of a folio, by attribute and by key."""

    def __init__(self, store: Store, read: Callable[[str], Any]) -> None:
        self._store = store
        self._read = read

    def __getitem__(self, name: str) -> ItemProxy:
        if name == METADATA:
            raise KeyError(f"expected the name of an item, got {name!r}: read `metadata`")
        self._store.info(name)  # KeyError, with names near it
        return ItemProxy(self._store, self._read, name)

    def __getattr__(self, name: str) -> ItemProxy:
        if name.startswith("__") or name not in self:
            raise AttributeError(f"expected the name of an item, got {name!r}; there are {', '.join(self) or 'none'}")
        return self[name]

    def __dir__(self) -> Iterable[str]:
        return [name for name in self if name.isidentifier()]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __iter__(self) -> Iterator[str]:
        return iter([item.name for item in known_items(self._store)])

    def __len__(self) -> int:
        return len(known_items(self._store))

    def __contains__(self, name: object) -> bool:
        return name != METADATA and name in self._store

    def __repr__(self) -> str:
        return f"<items: {', '.join(self) or 'none'}>"


class MetadataView(MutableMapping[str, Any]):
    """What is known of a folio as a whole; a change is kept at once, and two that change it at once are both kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getitem__(self, key: str) -> Any:
        return self._now()[1][key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._change(lambda kept: {**kept, key: value})

    def __delitem__(self, key: str) -> None:
        self._change(lambda kept: _without(kept, key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._now()[1])

    def __len__(self) -> int:
        return len(self._now()[1])

    def update(self, *others: Any, **entries: Any) -> None:
        """Take entries over from a mapping or from pairs, in one change."""
        new: Mapping[str, Any] = dict(*others, **entries)
        self._change(lambda kept: {**kept, **new})

    def __repr__(self) -> str:
        return repr(self._now()[1])

    def _now(self) -> tuple[int, dict[str, Any]]:
        now = self._store.at("HEAD")
        return (now.info(METADATA).version, now.get(METADATA)) if METADATA in now else (0, {})

    def _change(self, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        while True:
            version, kept = self._now()
            try:
                # A batch is refused within another, whose changes nobody reads yet: entries would be lost.
                with self._store.batch():
                    self._store.add(METADATA, changed(kept), format="json", view=METADATA_FILE, if_version=version)
            except ConflictError:
                if self._now()[0] == version:  # not overtaken: its plain file is not the store's
                    raise
            else:
                return


def _without(kept: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in kept:
        raise KeyError(key)
    return {known: value for known, value in kept.items() if known != key}
