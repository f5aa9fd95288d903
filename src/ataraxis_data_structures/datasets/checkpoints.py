"""Checkpoints of a training with their metrics, and archives of several models; written whole, never as dill."""

import io
import json
import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from xxhash import xxh3_128_hexdigest

from ..errors import DamagedError
from ..store.items import Item
from ..store.kinds import kind_for, kind_of
from ..store.store import Store

Mode = Literal["min", "max"]

MODELS = "wts.h5.zip"
_MANIFEST = "models.json"
_METRICS, _FORMAT = "metrics", "format"
_TORCH, _KERAS = "torch", "keras"


@dataclass(frozen=True)
class Checkpoint:
    """What is known of a checkpoint without opening it; `path` is its plain file."""

    name: str
    path: Path
    metrics: dict[str, Any]
    version: int
    created_us: int
    size_bytes: int


def save_checkpoint(model: Any, metrics: Mapping[str, Any] | None, path: Path | str) -> Path:
    """Write a checkpoint, whole or not at all; one that is there stays as an older version.

    The folder of the file is a store, and the file an item of it.

    Args:
        model: What has a `state_dict` (its state is written: tensors as torch does, arrays as npz), a Keras model, or
            what a store takes: arrays, JSON values, models that it knows.
        metrics: Numbers by name, kept in the ledger.
        path: The file, as `experiments/run_123/checkpoints/model_best.pt`.

    Raises:
        TypeError: The model or a metric can't be kept.
        StoreError: The file's name is none for an item.
    """
    path = Path(path)
    store = Store(path.parent)
    with _storable(model) as (value, form):
        meta = {_METRICS: {name: _plain(metric) for name, metric in (metrics or {}).items()}, _FORMAT: form}
        store.add(path.name, value, meta=meta, view=path.name, note=type(model).__qualname__)
    return path


def load_checkpoint(path: Path | str, model: Any = None, *, trust: bool = False) -> Any:
    """Return what a checkpoint holds, all of whose bytes are checked; reading a state of tensors runs no code.

    Args:
        path: What `save_checkpoint` was given.
        model: Takes the state by `load_state_dict`, and is returned. None: the state itself, or the model.
        trust: Whether to read a pickle that somebody else wrote, which runs code of its writer.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        DamagedError: The bytes are not what was saved.
    """
    path = Path(path)
    store = Store(path.parent, create=False, read_only=True)
    if path.name not in store:
        known = ", ".join(checkpoint.name for checkpoint in list_checkpoints(path.parent)) or "none"
        raise FileNotFoundError(f"expected a checkpoint ({known} in {path.parent}), got {path.name}")
    form = (store.info(path.name).meta or {}).get(_FORMAT)
    value = store.get(path.name, trust=trust)
    if form in _READERS:
        value = _READERS[form](value)
    if model is None:
        return value
    model.load_state_dict(value)
    return model


def list_checkpoints(
    folder: Path | str, metric: str | None = None, mode: Mode | None = None, n_best: int | None = None
) -> list[Checkpoint]:
    """Return the checkpoints of a folder from its ledger, without opening one: the oldest first, or the best.

    Args:
        folder: Where they were saved.
        metric: Sort by this metric; those without it, or with NaN, come last.
        mode: Whether the least ("min") or the greatest ("max") is best; needed with a metric.
        n_best: Only so many of those that have the metric.

    Raises:
        FileNotFoundError: Nothing was saved there.
        ValueError: A metric without a mode, or the other way round.
    """
    if (
        (metric is None) != (mode is None)
        or mode not in (None, "min", "max")
        or (metric is None and n_best is not None)
    ):
        raise ValueError(f"expected a metric with a mode of 'min' or 'max', got {metric!r} and {mode!r}")
    store = Store(folder, create=False, read_only=True)
    items = (store.info(name) for name in store.list())
    found = [_checkpoint_of(item) for item in items if _METRICS in (item.meta or {})]
    found.sort(key=lambda checkpoint: checkpoint.version)
    if metric is None:
        return found
    sign = 1 if mode == "min" else -1
    ranked = sorted((c for c in found if _is_number(c.metrics.get(metric))), key=lambda c: sign * c.metrics[metric])
    return ranked[:n_best] if n_best is not None else [*ranked, *(c for c in found if c not in ranked)]


def best_checkpoint(folder: Path | str, metric: str, mode: Mode) -> Checkpoint:
    """Return the checkpoint with the least ("min") or greatest ("max") metric; the earliest of equal ones.

    Raises:
        LookupError: None has a number for the metric.
    """
    found = list_checkpoints(folder, metric, mode, 1)
    if not found:
        raise LookupError(f"expected a checkpoint with a number for {metric!r} in {folder}, got none")
    return found[0]


def save_models(folder: Path | str, models: Mapping[str, Any]) -> Path:
    """Write models into `wts.h5.zip` of a folder, whole or not at all; returns its path.

    Args:
        folder: Becomes a store; the archive is an item of it.
        models: By their names. What a store takes, what has a `state_dict`, Keras models.

    Raises:
        TypeError: A model can't be kept; nothing is written.
    """
    store = Store(folder)
    with tempfile.TemporaryDirectory() as place:
        archive = Path(place, MODELS)
        with zipfile.ZipFile(archive, "w") as file:
            manifest = {name: _write_model(file, name, model, store.uuid) for name, model in models.items()}
            file.writestr(_MANIFEST, json.dumps(manifest, ensure_ascii=False, sort_keys=True))
        store.add(MODELS, archive, meta={"models": sorted(models)}, view=MODELS)
    return Path(folder) / MODELS


def load_models(folder: Path | str, *, trust: bool = False) -> dict[str, Any]:
    """Return the models of a folder by their names; a state where a state was written.

    Args:
        folder: Where they were saved.
        trust: Whether to read pickles that somebody else wrote, which run code of their writer.

    Raises:
        FileNotFoundError: Nothing was saved there.
        DamagedError: The bytes are not what was saved.
    """
    store = Store(folder, create=False, read_only=True)
    if MODELS not in store:
        raise FileNotFoundError(f"expected {MODELS} in {folder}, got nothing saved there")
    path = store.get(MODELS)
    with zipfile.ZipFile(path) as file:
        manifest = json.loads(file.read(_MANIFEST))
        return {name: _read_model(file, entry, store.uuid, path, is_trusted=trust) for name, entry in manifest.items()}


@contextmanager
def _storable(model: Any) -> Iterator[tuple[Any, str]]:
    """Give what a store is to keep of a model, and in which format that is."""
    # A Keras model upon PyTorch has a state_dict too, which is not all of it.
    has_state = callable(getattr(model, "state_dict", None)) and not _is_keras(model)
    state = model.state_dict() if has_state else None
    if state is not None and all(isinstance(value, np.ndarray | np.generic) for value in state.values()):
        yield dict(state), ""
        return
    writer = _write_torch if state is not None else _write_keras if _is_keras(model) else None
    if writer is None:
        yield model, ""
        return
    with tempfile.TemporaryDirectory() as place:
        form = _TORCH if state is not None else _KERAS
        path = Path(place, f"model.{form}" if form == _KERAS else "model.pt")
        writer(model if state is None else state, path)
        yield path, form


def _write_torch(state: Any, path: Path) -> None:
    import_module("torch").save(state, path)


def _read_torch(path: Path) -> Any:
    return import_module("torch").load(path, map_location="cpu", weights_only=True)


def _is_keras(model: Any) -> bool:
    return any(base.__module__.partition(".")[0] in ("keras", "tf_keras") for base in type(model).__mro__)


def _write_keras(model: Any, path: Path) -> None:
    model.save(path)


def _read_keras(path: Path) -> Any:
    # Its own safe mode refuses code in the file.
    with tempfile.TemporaryDirectory() as place:
        named = Path(place, "model.keras")  # Keras goes by the ending
        named.symlink_to(path)
        return import_module("keras").models.load_model(named)


_READERS: dict[str, Callable[[Path], Any]] = {_TORCH: _read_torch, _KERAS: _read_keras}


def _write_model(file: zipfile.ZipFile, name: str, model: Any, uuid: str) -> dict[str, Any]:
    """Write one model as a member; returns what is needed to read it."""
    with _storable(model) as (value, form):
        kind = kind_for(value)
        data = io.BytesIO()
        about = kind.write(value, data)
        payload = data.getvalue()
        digest = xxh3_128_hexdigest(payload)
        if kind.seal is not None:
            about = kind.seal(about, digest, uuid)
        member = f"{name}{kind.extension(value)}"
        file.writestr(zipfile.ZipInfo(member), payload)
    return {"kind": kind.name, "about": about, "file": member, "hash": digest, "bytes": len(payload), _FORMAT: form}


def _read_model(file: zipfile.ZipFile, entry: Mapping[str, Any], uuid: str, archive: Path, *, is_trusted: bool) -> Any:
    data = file.read(str(entry["file"]))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "model" + Path(str(entry["file"])).suffix)
        path.write_bytes(data)
        payload = _Member(path, data, str(entry["hash"]), uuid, archive, is_trusted=is_trusted)
        payload.check()
        if entry[_FORMAT] in _READERS:
            return _READERS[entry[_FORMAT]](path)
        return kind_of(entry["kind"], str(entry["file"])).read(payload, dict(entry["about"]))


class _Member:
    """A payload within an archive of models, as the kinds read it."""

    uri: str | None = None
    view: Path | None = None

    def __init__(self, path: Path, data: bytes, digest: str, uuid: str, archive: Path, *, is_trusted: bool) -> None:
        self.path = path
        self.size_bytes = len(data)
        self.hash = digest
        self.uuid = uuid
        self.is_trusted = is_trusted
        self._data = data
        self._archive = archive

    def data(self) -> memoryview:
        """Return all bytes, checked."""
        self.check()
        return memoryview(bytearray(self._data))

    def check(self) -> None:
        """Check the bytes."""
        if xxh3_128_hexdigest(self._data) != self.hash:
            raise DamagedError(f"expected a model with the hash {self.hash} in {self._archive}, got another")


def _checkpoint_of(item: Item) -> Checkpoint:
    metrics = (item.meta or {}).get(_METRICS)
    known = dict(metrics) if isinstance(metrics, Mapping) else {}
    path = item.path or Path(item.name)
    return Checkpoint(item.name, path, known, item.version, item.created_us, item.size_bytes)


def _plain(metric: Any) -> Any:
    """Return a number of NumPy, torch or any other library as Python's own."""
    return metric.item() if callable(getattr(metric, "item", None)) else metric


def _is_number(metric: Any) -> bool:
    return isinstance(metric, int | float) and not isinstance(metric, bool) and not math.isnan(metric)
