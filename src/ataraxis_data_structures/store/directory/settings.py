"""Configurations: plain values with attributes, their hash, and `_meta.yaml`, which holds them for people."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from ..memo.keys import canon
from ..names import FOLDER, STAGING
from ..payloads import staged_path

if TYPE_CHECKING:
    from ..store import Store
    from .roots import Home

META = "_meta"
META_FILE = "_meta.yaml"
CONFIGS = "_configs"
DONE, RUNNING, STOPPED = "done", "running", "stopped"
_PLAIN = (str, int, float, bool, type(None))


class Config(dict[str, Any]):
    """A configuration whose keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"expected one of {sorted(map(str, self))}, got {name!r}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if isinstance(name, str))]


def config_of(value: Mapping[str, Any], where: str = "config") -> Config:
    """Return a configuration of nothing but plain values: types are their names, tuples and arrays are lists.

    Raises:
        TypeError: A part is none that YAML can hold; the message names it.
    """
    if not all(isinstance(key, str) for key in value):
        raise TypeError(f"expected texts as the keys of {where}, got {sorted(map(repr, value))}")
    return Config({key: _plain(part, f"{where}[{key!r}]") for key, part in value.items()})


def _plain(value: Any, where: str) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, Mapping):
        return config_of(value, where)
    if isinstance(value, list | tuple):
        return [_plain(part, f"{where}[{number}]") for number, part in enumerate(value)]
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return _plain(value.tolist(), where)
    if isinstance(value, PurePath | date):
        return str(value)
    raise TypeError(f"expected a value that YAML can hold at {where}, got {type(value).__name__}")


def hash_of(config: Mapping[str, Any]) -> str:
    """Return what two configurations have in common only if they are equal."""
    return sha256(b"axds-config-1\n" + canon(_bare(config))).hexdigest()


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _bare(part) for key, part in value.items()}
    return [_bare(part) for part in value] if isinstance(value, list) else value


def read_meta(home: "Home") -> dict[str, Any] | None:
    """Return what is recorded of a directory, `config` and `status`; None where nothing is."""
    store = home.reader()
    name = home.item(META)
    if store is None or name not in store:
        return None
    kept = store.info(name).meta
    if kept is None:  # taken from a file that somebody wrote
        kept = yaml.safe_load(Path(store.get(name)).read_text(encoding="utf-8"))
    return dict(kept) if isinstance(kept, dict) else None


def write_meta(
    store: "Store", home: "Home", config: Mapping[str, Any] | None, status: str, *, is_found: bool = True
) -> None:
    """Record configuration and status of a directory, and by the configuration's hash where it is."""
    kept = {"config": None if config is None else _bare(config), "status": status}
    staging = store.path / FOLDER / STAGING
    staging.mkdir(parents=True, exist_ok=True)
    staged = Path(staged_path(staging) + ".yaml")
    try:
        staged.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")
        store.add(home.item(META), staged, view=home.item(META_FILE), meta=kept)
    finally:
        os.unlink(staged)  # noqa: PTH108
    if config is not None and home.prefix and is_found:
        store.reference(_config_item(config), home.prefix)


def find(top: "Home", config: Mapping[str, Any]) -> "Home | None":
    """Return the directory that was made with a configuration, by one look at its hash."""
    store = top.reader()
    name = _config_item(config)
    if store is None or name not in store:
        return None
    home = replace(top, prefix=str(store.info(name).uri))
    meta = read_meta(home)
    is_same = meta is not None and meta.get("config") is not None and hash_of(meta["config"]) == hash_of(config)
    return home if is_same else None


def _config_item(config: Mapping[str, Any]) -> str:
    return f"{CONFIGS}/{hash_of(config)}"


def differences(passed: Any, stored: Any, where: str = "") -> list[str]:
    """Return a line for each key in which two configurations differ."""
    if not isinstance(passed, Mapping) or not isinstance(stored, Mapping):
        return [] if _bare(passed) == _bare(stored) else [f"{where}: passed {passed!r}, stored {stored!r}"]
    lines = []
    for key in sorted(passed.keys() | stored.keys()):
        path = f"{where}.{key}" if where else key
        if key not in stored:
            lines.append(f"{path}: passed {passed[key]!r}, not stored")
        elif key not in passed:
            lines.append(f"{path}: not passed, stored {stored[key]!r}")
        else:
            lines += differences(passed[key], stored[key], path)
    return lines
