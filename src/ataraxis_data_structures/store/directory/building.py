"""Builds: a subclass's `__init__` makes a directory once, in a folder of its own, published in one transaction.

1  the lock of the directory's name, which the kernel frees at its holder's death; others wait for it
2  is it there meanwhile? else its job in `builds.yaml` runs, and what a killed builder left is removed
3  `__init__` writes into a store of its own, `.axds/builds/<key>`
4  what it holds is linked into the store, with `_meta.yaml`, as one transaction
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...jobs.state import ProcessingStatus
from ...jobs.tracker import ProcessingTracker
from ...system.locks import held_file
from ..names import FOLDER
from . import settings

if TYPE_CHECKING:
    from ..store import Store
    from .roots import Home

BUILDS = "builds"
_TRACKER = "builds.yaml"


def build(home: "Home", config: Mapping[str, Any], fill: Callable[["Home", "Store"], None] | None) -> None:
    """Make a directory with a configuration unless it is there; of several callers one does.

    Raises:
        FileExistsError: It is there with another configuration.
    """
    store = home.writer()
    folder = home.root / FOLDER / BUILDS
    folder.mkdir(exist_ok=True)
    own = folder / sha256(home.prefix.encode()).hexdigest()[:32]
    with held_file(own.with_suffix(".lock")):
        if check(home, config):
            return
        if fill is None:
            with store.batch():
                settings.write_meta(store, home, config, settings.DONE)
            return
        _remove_leftovers(folder, own)
        tracker, job = _started(home)
        try:
            _filled(home, store, config, own, fill)
        except BaseException as error:
            error.add_note(f"{home.path} was not built: nothing of it is kept")
            tracker.fail_job(job, f"{type(error).__name__}: {error}")
            raise
        finally:
            shutil.rmtree(own, ignore_errors=True)
        tracker.complete_job(job)


def check(home: "Home", config: Mapping[str, Any]) -> bool:
    """Tell whether a directory is there with this configuration.

    Raises:
        FileExistsError: It has another.
    """
    meta = settings.read_meta(home)
    if meta is None:
        return False
    stored = meta.get("config")
    if stored is not None and not is_same(home, config):
        lines = settings.differences(config, stored)
        raise FileExistsError(f"expected another path or the stored config for {home.path}: " + "; ".join(lines))
    return stored is not None


def is_same(home: "Home", config: Mapping[str, Any]) -> bool:
    """Tell whether a directory has this configuration."""
    stored = (settings.read_meta(home) or {}).get("config")
    return stored is not None and settings.hash_of(stored) == settings.hash_of(config)


def _filled(
    home: "Home", store: "Store", config: Mapping[str, Any], own: Path, fill: Callable[["Home", "Store"], None]
) -> None:  # fmt: skip
    scratch = replace(home, root=own)
    made = type(store)(own, sync="process")
    fill(scratch, made)
    _take_plain_files(made, scratch)
    start = scratch.item("")
    names = [name for name in made.names_below(start) if name != scratch.item(settings.META)]
    with store.batch():
        store.take_items(made, {name: name for name in names})
        settings.write_meta(store, home, config, settings.DONE)


def _remove_leftovers(folder: Path, own: Path) -> None:
    """Remove what builders left that were killed; the lock of its name says that nobody works there."""
    for path in folder.iterdir():
        if path == own:
            shutil.rmtree(path)
        elif path.is_dir():
            with suppress(BlockingIOError), held_file(path.with_suffix(".lock"), waits=False):
                shutil.rmtree(path, ignore_errors=True)


def _take_plain_files(made: "Store", scratch: "Home") -> None:
    """Take files that the builder wrote below its path by other means."""
    known = {made.info(name).path for name in made.names_below("")}
    for path in sorted(scratch.path.rglob("*")) if scratch.path.is_dir() else ():
        if path.is_file() and path not in known and FOLDER not in path.relative_to(made.path).parts:
            name = path.relative_to(made.path).as_posix()
            staged = path.rename(path.with_name(path.name + ".taken"))
            made.add_copy(name, staged, name)
            staged.unlink()


def _started(home: "Home") -> tuple[ProcessingTracker, str]:
    tracker = ProcessingTracker(home.root / FOLDER / _TRACKER)
    job = tracker.generate_job_id(home.prefix)
    try:
        tracker.get_job_status(job)
    except (ValueError, FileNotFoundError):
        tracker.initialize_jobs([(home.prefix, "")])
    else:
        tracker.reset_jobs([job])
    tracker.start_job(job)
    return tracker, job


def state_of(home: "Home") -> str:
    """Return "running", "stopped" or "done" for a directory without a record: what its build's job says."""
    path = home.root / FOLDER / _TRACKER
    if not path.exists():
        return settings.DONE
    tracker = ProcessingTracker(path)
    job = tracker.generate_job_id(home.prefix)
    with suppress(ValueError):  # it was never built
        status = tracker.get_job_status(job)
        if status is ProcessingStatus.RUNNING:
            return settings.STOPPED if job in tracker.find_abandoned() else settings.RUNNING
        if status is ProcessingStatus.FAILED:
            return settings.STOPPED
    return settings.DONE
