"""Every operation killed before each of its file calls and in the middle of each write, and each call failing once."""

import errno
import shutil
import warnings

import numpy as np
import pytest

from ataraxis_data_structures import Store
from helpers.crash import FULL, chosen, fail_at, kill_at, trace

LARGE = np.arange(400.0)  # beyond what a line carries
HUGE = np.arange(200_000.0)  # beyond what a plain file is copied for


def prepare(folder):
    store = Store(folder)
    store.add("old", {"x": 1})
    store.add("array", LARGE)
    store.add("huge", HUGE)
    store.extend("rows", np.zeros((50, 4)))
    store.snapshot("first")
    store.add("old", {"x": 2})
    store.extend("rows", np.ones((3, 4)))
    store.add("array", LARGE + 1)


def batch(store):
    with store.batch():
        store.add("new/a", LARGE + 2)
        store.add("old", "text")
        store.add("array", {"now": "json"})
        store.delete("huge", warn_dependents=False)


def gc(store):
    store.gc(grace_s=0, history="snapshots")


OPERATIONS = {
    "add": lambda store: store.add("new/deep/item", [1, 2]),
    "add large": lambda store: store.add("new", LARGE * 3),
    "add huge": lambda store: store.add("new", HUGE * 3),
    "add equal": lambda store: store.add("new", LARGE),
    "overwrite": lambda store: store.add("old", {"x": 3}),
    "overwrite huge": lambda store: store.add("huge", HUGE + 1),
    "overwrite by another kind": lambda store: store.add("array", [1]),
    "batch": batch,
    "extend": lambda store: store.extend("rows", np.full((2, 4), 7.0)),
    "first extend": lambda store: store.extend("array", [5.0]),
    "delete": lambda store: store.delete(["old", "huge"], warn_dependents=False),
    "note": lambda store: store.note("old", "a note"),
    "snapshot": lambda store: store.snapshot("second"),
    "restore": lambda store: store.restore("first"),
    "gc": gc,
    "repair": lambda store: store.repair(),
}


def plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else value


def state(store):
    """Return all that readers can see: items, versions, snapshots."""
    items = {name: (plain(store.get(name)), store.info(name).version, store.info(name).note) for name in store.list()}
    past = {
        f"{name}@{version}": plain(store.get(f"{name}@{version}"))
        for name in ("old", "array", "huge", "rows")
        for version in store.versions(name)
        if version in HELD.get(name, ())
    }
    return items, past, {snapshot.name: snapshot.at for snapshot in store.snapshots()}


HELD = {"old": (1, 6), "array": (2, 8), "huge": (3,), "rows": (4, 7)}  # by the snapshot and today


def plain_files_are_todays(store):
    for name in store.list():
        info = store.info(name)
        if info.kind == "array":
            np.testing.assert_array_equal(np.load(info.path), store.get(name))
        assert info.path.stat().st_mode & 0o777 == 0o444
    names = {store.info(name).path for name in store.list()}
    found = {path for path in store.path.rglob("*") if path.is_file() and ".axds" not in path.parts}
    assert found == names


class Crash:
    def __init__(self, tmp_path, what):
        self.template, self.folder = tmp_path / "template", tmp_path / "store"
        self.operation = OPERATIONS[what]
        prepare(self.template)
        self.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.before = state(Store(self.folder))
            self.operation(Store(self.folder))
            self.after = state(Store(self.folder))

    def copy(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder, copy_function=shutil.copy2)
        huge = self.folder / ".axds" / "payloads" / "huge@3.npy"
        (self.folder / "huge.npy").unlink()
        (self.folder / "huge.npy").hardlink_to(huge)

    def program(self):
        self.operation(Store(self.folder))

    def check(self, run):
        __tracebackhide__ = True
        where = f"{run.hit}: {run.error}"
        store = Store(self.folder, create=False)
        found = state(store)
        wanted = (self.before, self.after)
        if run.error:
            wanted = (self.before,)
        elif run.status == 0:
            wanted = (self.after,)
        assert found in wanted, where
        assert store.verify() == [], where
        store.add("next", 1)
        plain_files_are_todays(store)
        assert store.verify() == [], where
        assert store.list() == sorted({*found[0], "next"}), where
        assert (store.path / ".axds" / "ledger").read_bytes() == (store.path / ".axds" / "mirror").read_bytes()
        if self.operation is not gc:
            store.gc(grace_s=0)
            assert list((store.path / ".axds" / "tmp").iterdir()) == [], where


@pytest.mark.fault
@pytest.mark.parametrize("what", OPERATIONS)
def test_killed_at_any_step_it_has_happened_or_not(what, tmp_path):
    crash = Crash(tmp_path, what)
    crash.copy()
    steps = trace(crash.program)
    assert len(steps) > 3
    for n in chosen(len(steps), short=300 if FULL else 20):
        crash.copy()
        crash.check(kill_at(crash.program, n))


@pytest.mark.fault
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EINTR], ids=errno.errorcode.get)
@pytest.mark.parametrize("what", OPERATIONS)
def test_a_call_that_fails_is_the_exception_and_the_old_state(what, code, tmp_path):
    crash = Crash(tmp_path, what)
    crash.copy()
    total = len(trace(crash.program))
    for n in chosen(total, short=300 if FULL else 8):
        crash.copy()
        crash.check(fail_at(crash.program, n, code))
