"""Data sets by name: made or downloaded once, kept in a store under `external/`, given from there afterwards."""

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, overload
from urllib.parse import urlsplit

from ..errors import DigestError
from ..store.items import Item
from ..store.names import FOLDER, STAGING, checked
from ..store.store import Store
from ..system.atomic import atomic_write
from .credentials import authorization
from .download import Downloaded, checked_sha256, download, exclusive
from .http import shown

_log = logging.getLogger(__name__)

Maker = Callable[..., Any]

_LAYOUT = ("raw", "interim", "processed", "external")
_EXTERNAL = "external/"
_POOCH_SCHEMES = ("doi", "ftp", "sftp")


@dataclass(frozen=True)
class Dataset:
    """What is registered under a name: who makes the data set, and where it is from."""

    name: str
    make: Maker | None
    version: str = ""
    url: str | None = None
    sha256: str | None = None
    license: str = ""
    source: str = ""
    auth: str | None = None

    @property
    def takes_file(self) -> bool:
        """Whether the function is given the downloaded file."""
        if self.url is None or self.make is None:
            return False
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return any(parameter.kind in kinds for parameter in inspect.signature(self.make).parameters.values())


_registered: dict[str, Dataset] = {}


@overload
def register_dataset(name: Maker) -> Maker: ...
@overload
def register_dataset(
    name: str,
    *,
    version: str = "",
    url: str | None = None,
    sha256: str | None = None,
    license: str = "",
    source: str = "",
    auth: str | None = None,
) -> Callable[[Maker], Maker]: ...
def register_dataset(
    name: str | Maker,
    *,
    version: str = "",
    url: str | None = None,
    sha256: str | None = None,
    license: str = "",  # noqa: A002 what it is called everywhere
    source: str = "",
    auth: str | None = None,
) -> Maker | Callable[[Maker], Maker]:
    """Register the function that makes a data set; `fetch_dataset` runs it once. A bare decorator, or with arguments.

    Args:
        name: The name; of a bare decorator, the function's without `fetch_`.
        version: Another one than was kept makes the data set again.
        url: A file that is downloaded first; the function gets its path if it takes an argument, and the file itself is
            the data set if it returns None, or if no function is decorated.
        sha256: What that file, or the file that the function returns, must have.
        license: Kept beside the data.
        source: Kept beside the data.
        auth: The variable of the environment or of `.env` that holds the key, as `DATASET_API_KEY`.
    """
    if callable(name):
        called = name.__name__.removeprefix("fetch_")
        _registered[called] = Dataset(called, name)
        return name
    facts = Dataset(name, None, version, url, checked_sha256(sha256), license, source, auth)
    if url is not None:
        _registered[name] = facts

    def decorate(function: Maker) -> Maker:
        _registered[name] = Dataset(name, function, version, url, facts.sha256, license, source, auth)
        return function

    return decorate


def fetch_dataset(name: str, *, root: Path | str | None = None, **options: Any) -> Any:
    """Return a data set: from the store if it is there, else made by its function, kept, and returned.

    A name that nobody registered is asked for at HuggingFace, by its own library and cache, where that is installed;
    the store then keeps a reference.

    Args:
        name: What `register_dataset` registered.
        root: The folder of the store; None: the environment's `AXDS_DATA`, else `data`.
        options: Passed to the function; other options are another item.

    Raises:
        KeyError: Nobody registered the name.
        DownloadError, DigestError: As `download_dataset` raises them.
    """
    dataset = _registered.get(name)
    if dataset is None:
        return _from_hub(name, root, options)
    store = _store(root)
    item = _item_of(name, options)
    with _alone(store, item):
        if item not in store or (_meta(store, item).get("version", "")) != dataset.version:
            _make(store, item, dataset, options)
    return store.get(item)


def _make(store: Store, item: str, dataset: Dataset, options: Mapping[str, Any]) -> None:
    meta = {name: value for name in ("version", "license", "source") if (value := getattr(dataset, name))}
    if options:
        meta["options"] = json.loads(json.dumps(options, default=repr))
    if dataset.url is None:
        value = dataset.make(**options) if dataset.make else None
        _check_file(value, dataset.sha256)
        store.add(item, value, note=_first_line(dataset.make), meta=meta)
        return
    if dataset.make is None:
        _load(store, item, dataset.url, dataset.sha256, auth=dataset.auth, meta=meta)
        return
    source = f"{item}-source"
    path = _load(store, source, dataset.url, dataset.sha256, auth=dataset.auth)
    value = dataset.make(*([path] if dataset.takes_file else []), **options)
    store.add(item, path if value is None else value, note=_first_line(dataset.make), meta=meta, inputs=[source])


def download_dataset(
    url: str,
    name: str,
    sha256: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    retries: int = 3,
    auth: str | None = None,
    root: Path | str | None = None,
) -> Path:
    """Download a file once, whole, and return its path; it is the item `external/<name>` of the store.

    Args:
        url: http or https; `doi:`, `ftp:` and `sftp:` by pooch (extra `fetch`). Query and credentials are not recorded.
        name: Of the item; the file's ending is the URL's.
        sha256: What the file must have. None: it is trusted at its first download, and that hash is recorded.
        headers: Sent to the URL's own host alone.
        timeout: The longest wait for an answer or a piece of it, in seconds.
        retries: How many attempts may bring nothing.
        auth: The variable of the environment or of `.env` that holds the key, as `DATASET_API_KEY`.
        root: The folder of the store; None: the environment's `AXDS_DATA`, else `data`.

    Raises:
        DownloadError: The server refuses, redirects to another scheme, or sends less or more than it says.
        DigestError: The file, or what is here already, has another SHA-256.
        ValueError: The URL has another scheme, or what is here is from another URL.
        LookupError: There is no such key.
    """
    store = _store(root)
    item = checked(_EXTERNAL + name)
    with _alone(store, item):
        return _load(store, item, url, sha256, headers=headers, timeout=timeout, retries=retries, auth=auth)


def fetch_again(
    name: str,
    sha256: str | None = None,
    *,
    timeout: float = 60.0,
    retries: int = 3,
    auth: str | None = None,
    root: Path | str | None = None,
) -> Path:
    """Return the file of a data set that was downloaded once; where it is gone, as in a clone, it is loaded again.

    Raises:
        KeyError: Nothing of this name was downloaded.
    """
    store = _existing_store(root)
    item = checked(_EXTERNAL + name)
    if item not in store:
        near = get_close_matches(item, store.list(), n=1)
        raise KeyError(
            f"expected the name of a data set, got {name}: {f'is it {near[0]}?' if near else 'none is here'}"
        )
    meta = _meta(store, item)
    wanted = checked_sha256(sha256) or meta.get("sha256")
    with _alone(store, item):
        if "url" not in meta or _file_of(store, item).is_file():
            return _held(store, item, None, wanted)
        url = str(meta["url"])
        return _download(store, item, url, wanted, timeout=timeout, retries=retries, auth=auth, meta=meta)


def list_items(root: Path | str | None = None) -> list[Item]:
    """Return what is known of each item of a data store."""
    store = _existing_store(root)
    return [store.info(name) for name in store.list()]


def file_facts(name: str, *, root: Path | str | None = None) -> dict[str, Any]:
    """Return size, URL and SHA-256 of a data set that was downloaded."""
    info = _existing_store(root).info(checked(_EXTERNAL + name))
    return {"bytes": info.size_bytes, "version": info.version, **(info.meta or {})}


def _load(
    store: Store,
    item: str,
    url: str,
    sha256: str | None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    retries: int = 3,
    auth: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    wanted = checked_sha256(sha256)
    if item in store:
        return _held(store, item, url, wanted)
    return _download(store, item, url, wanted, headers=headers, timeout=timeout, retries=retries, auth=auth, meta=meta)


def _download(
    store: Store,
    item: str,
    url: str,
    wanted: str | None,
    *,
    timeout: float,
    retries: int,
    headers: Mapping[str, str] | None = None,
    auth: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    private = {**(headers or {}), **(authorization(auth) if auth else {})}
    ending = _ending(url)
    partial = store.path / FOLDER / STAGING / f"fetch-{_short(item)}{ending}"
    with _fetched(url, partial, wanted, private, timeout, retries) as found:
        facts = {"url": found.url, "sha256": found.sha256, **({"etag": found.etag} if found.etag else {})}
        view = item if item.lower().endswith(ending.lower()) else item + ending
        store.add(item, found.path, meta={**(meta or {}), **facts}, view=view)
    if wanted is None:
        _log.warning("%s is trusted at its first download: sha256 %s", item, found.sha256)
    return _file_of(store, item)


@contextmanager
def _fetched(
    url: str, partial: Path, sha256: str | None, private: Mapping[str, str], timeout: float, retries: int
) -> Iterator[Downloaded]:
    if urlsplit(url).scheme in _POOCH_SCHEMES:
        yield _by_pooch(url, partial, sha256)
        partial.unlink(missing_ok=True)
        return
    with download(url, partial, sha256=sha256, headers=private, timeout_s=timeout, retries=retries) as found:
        yield found


def _by_pooch(url: str, partial: Path, sha256: str | None) -> Downloaded:
    try:
        pooch = import_module("pooch")  # an extra
    except ImportError as error:
        raise ImportError(f"expected pooch for {shown(url)}: pip install 'ataraxis-data-structures[fetch]'") from error
    # The hash is checked here, so that a wrong one is told as everywhere.
    pooch.retrieve(url, known_hash=None, fname=partial.name, path=partial.parent)
    digest = _digest(partial)
    if sha256 not in (None, digest):
        partial.replace(partial.with_name(partial.name + ".rejected"))
        raise DigestError(f"{shown(url)}: expected SHA-256 {sha256}, got {digest}")
    return Downloaded(partial, shown(url), partial.stat().st_size, digest)


def _held(store: Store, item: str, url: str | None, sha256: str | None) -> Path:
    """Return the file that is here, held against what is asked for; any URL will do where that is None."""
    meta = _meta(store, item)
    path = Path(store.get(item))  # all bytes are those that were stored
    recorded = str(meta.get("sha256") or _digest(path))
    if sha256 not in (None, recorded):
        raise DigestError(f"expected SHA-256 {sha256}, got {recorded}: {item} is here already", (str(path),))
    if sha256 is None and url is not None and meta.get("url") != shown(url):
        raise ValueError(
            f"expected {item} from {shown(url)}, got one from {meta.get('url')}: give its sha256 or a name"
        )
    return path


def _file_of(store: Store, item: str) -> Path:
    return Path(store.open(item))


def layout(path: Path | str = "data") -> Store:
    """Make the folders `raw` (written once), `interim`, `processed`, `external` of a data store; returns the store."""
    store = Store(path)
    for folder in _LAYOUT:
        (store.path / folder).mkdir(exist_ok=True)
    return store


def export_dvc(name: str, *, root: Path | str | None = None) -> Path:
    """Write `<file>.dvc` beside the plain file of an item, by which DVC tracks it; returns its path."""
    store = _store(root)
    path = store.info(name).path
    if path is None or not path.is_file():
        raise FileNotFoundError(f"expected the plain file of {name}, got none: {path}")
    facts = (
        f"md5: {_digest(path, 'md5')}",
        f"size: {path.stat().st_size}",
        "hash: md5",
        f"path: {json.dumps(path.name)}",
    )
    pointer = path.with_name(path.name + ".dvc")
    with atomic_write(pointer) as file:
        file.write("outs:\n- " + "\n  ".join(facts) + "\n")
    return pointer


def _from_hub(name: str, root: Path | str | None, options: Mapping[str, Any]) -> Any:
    hub = _huggingface()
    if hub is None:
        near = get_close_matches(name, _registered) or sorted(_registered)
        known = f"one of {', '.join(near)}" if near else "none is registered"
        raise KeyError(f"expected the name of a data set ({known}; others need HuggingFace's datasets), got {name}")
    found = hub.load_dataset(name, **options)
    _store(root).reference(_item_of(name, options), f"hf://datasets/{name}", meta={"options": dict(options)})
    return found


def _huggingface() -> Any:
    """Return HuggingFace's library; a folder of the user's that is called `datasets` is importable too, and is none."""
    try:
        found = import_module("datasets")
    except ImportError:
        return None
    return found if hasattr(found, "load_dataset") else None


def _store(root: Path | str | None) -> Store:
    return Store(_place(root))


def _existing_store(root: Path | str | None) -> Store:
    return Store(_place(root), create=False)


def _place(root: Path | str | None) -> Path:
    return Path(os.environ.get("AXDS_DATA") or "data" if root is None else root)


@contextmanager
def _alone(store: Store, item: str) -> Iterator[None]:
    """Let one process at a time make an item; the others wait, and find it made."""
    path = store.path / FOLDER / STAGING / f"fetch-{_short(item)}.lock"
    with exclusive(path):
        yield
        path.unlink(missing_ok=True)


def _item_of(name: str, options: Mapping[str, Any]) -> str:
    if not options:
        return checked(_EXTERNAL + name)
    return checked(f"{_EXTERNAL}{name}-{_short(json.dumps(options, sort_keys=True, default=repr))[:8]}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _meta(store: Store, item: str) -> Mapping[str, Any]:
    return store.info(item).meta or {}


def _ending(url: str) -> str:
    """Return how the file of a URL ends, with both parts of `.tar.gz`."""
    suffixes = PurePosixPath(urlsplit(url).path).suffixes
    kept = [suffix for suffix in suffixes[-2:] if suffix[1:].isalnum() and suffix.isascii()]
    return "".join(kept if len(kept) == 2 and kept[0] == ".tar" else kept[-1:])


def _first_line(function: Maker | None) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0] if function else ""


def _check_file(value: object, sha256: str | None) -> None:
    if sha256 is None:
        return
    if not isinstance(value, Path):
        raise TypeError(f"expected the path of a file with SHA-256 {sha256}, got {type(value).__name__}")
    if (digest := _digest(value)) != sha256:
        raise DigestError(f"expected SHA-256 {sha256}, got {digest}", (str(value),))


def _digest(path: Path, name: str = "sha256") -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()
