"""A store against a dictionary with history: whatever is done in whatever order, and wherever it crashes."""

import copy
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ataraxis_data_structures import ConflictError, Store
from helpers.crash import FULL, kill_at

NAMES = st.sampled_from(["a", "b", "deep/c", "deep/er/d"])
VALUES = st.one_of(
    st.integers(-5, 5),
    st.lists(st.integers(0, 3), max_size=3),
    st.tuples(st.booleans(), st.text(max_size=3)),
    st.integers(0, 400).map(lambda n: np.arange(float(n))),
    st.integers(0, 3).map(lambda n: {"x": np.full(200, n)}),
)
ROWS = st.integers(0, 3).map(lambda n: np.full((n, 2), 7.0))
SNAPSHOTS = st.sampled_from(["s1", "s2", "s3"])


def plain(value):
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return ("array", value.tolist()) if isinstance(value, np.ndarray) else value


class Model:
    """A dictionary with history."""

    def __init__(self):
        self.line = 0
        self.items = {}  # name: (version, value)
        self.notes = {}
        self.versions = {}  # (name, version): value, as far as it is kept
        self.snapshots = {}

    def put(self, changes, deleted=()):
        self.line += 1
        for name, value in changes.items():
            self.items[name] = (self.line, value)
            self.notes[name] = ""
            self.versions[name, self.line] = value
        for name in deleted:
            del self.items[name]

    def extend(self, name, rows):
        value = np.concatenate([self.items[name][1], rows]) if name in self.items else rows
        note = self.notes[name] if name in self.items else ""
        self.put({name: value})
        self.notes[name] = note

    def snapshot(self, name):
        self.snapshots[name] = (self.line, dict(self.items), dict(self.notes))
        self.line += 1

    def restore(self, name, store):
        _, items, notes = self.snapshots[name]
        self.line = store.version
        now = {key: (store.info(key).version, value) for key, (_, value) in items.items()}
        self.versions |= {(key, version): value for key, (version, value) in now.items()}
        self.items, self.notes = now, {key: notes[key] for key in items}

    def collect(self, store):
        held = {(name, version) for name, (version, _) in self.items.items()}
        for _, items, _ in self.snapshots.values():
            held |= {(name, version) for name, (version, _) in items.items()}
        self.versions = {key: value for key, value in self.versions.items() if key in held}
        self.line = store.version


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.store = Store(self.folder / "s", sync="process")
        self.model = Model()

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    @rule(name=NAMES, value=VALUES)
    def add(self, name, value):
        self.model.put({name: value})
        assert self.store.add(name, value) == self.model.line
        self.is_settled = True

    @rule(name=NAMES, value=VALUES)
    def add_new(self, name, value):
        if name in self.model.items:
            try:
                self.store.add(name, value, overwrite=False)
            except ConflictError:
                return
            raise AssertionError("an existing name was written again")
        self.model.put({name: value})
        self.store.add(name, value, if_version=0)

    @rule(rows=ROWS)
    def extend(self, rows):
        self.model.extend("rows", rows)
        self.store.extend("rows", rows)

    @rule(name=NAMES, note=st.text("xyz", max_size=2))
    def note(self, name, note):
        if name in self.model.items:
            self.model.line += 1
            self.model.notes[name] = note
            self.store.note(name, note)

    @rule(names=st.sets(st.one_of(NAMES, st.just("rows")), min_size=1))
    def delete(self, names):
        if names <= self.model.items.keys():
            self.model.put({}, names)
            self.store.delete(names, warn_dependents=False)
            return
        try:
            self.store.delete(names, warn_dependents=False)
        except KeyError:
            return
        raise AssertionError("a name that is no item was deleted")

    @rule(changes=st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), fails=st.booleans())
    def batch(self, changes, fails):
        deleted = [name for name in self.model.items if name not in changes][:1]
        try:
            self._batch(changes, deleted, fails)
        except ZeroDivisionError:
            return
        self.model.put(changes, deleted)

    def _batch(self, changes, deleted, fails=False):
        with self.store.batch():
            for name, value in changes.items():
                self.store.add(name, value)
            if deleted:
                self.store.delete(deleted, warn_dependents=False)
            if fails:
                raise ZeroDivisionError

    @rule(name=SNAPSHOTS)
    def snapshot(self, name):
        if name in self.model.snapshots:
            self.store.delete_snapshot(name)
            del self.model.snapshots[name]
            self.model.line += 1
        at = self.store.snapshot(name)
        self.model.snapshot(name)
        assert at == self.model.snapshots[name][0]

    @rule(name=SNAPSHOTS)
    def restore(self, name):
        if name in self.model.snapshots:
            self.store.restore(name)
            self.model.restore(name, self.store)

    @rule(history=st.sampled_from(["keep", "snapshots"]))
    def gc(self, history):
        self.store.gc(grace_s=0, history=history)
        if history == "snapshots":
            self.model.collect(self.store)

    @rule()
    def reopen(self):
        self.store = Store(self.folder / "s", create=False, sync="process")

    @rule(step=st.integers(0, 40), changes=st.dictionaries(NAMES, VALUES, min_size=1, max_size=2), rows=ROWS)
    def crash(self, step, changes, rows):
        """Kill a process in the midst of a batch; it has happened or it has not."""

        def program():
            self._batch(changes, [])
            self.store.extend("rows", rows)

        kill_at(program, step)
        after = copy.deepcopy(self.model)
        self.store = Store(self.folder / "s", create=False, sync="process")
        self.is_settled = False
        if self.store.version > self.model.line:
            after.put(changes)
        if self.store.version > after.line:
            after.extend("rows", rows)
        self.model = after
        assert self.store.verify() == []

    @invariant()
    def it_agrees(self):
        if not hasattr(self, "store"):
            return
        store, model = self.store, self.model
        assert store.version == model.line
        assert store.list() == sorted(model.items)
        for name, (version, value) in model.items.items():
            assert (store.info(name).version, store.info(name).note) == (version, model.notes[name])
            assert plain(store.get(name)) == plain(value)
        for (name, version), value in model.versions.items():
            assert plain(store.get(f"{name}@{version}")) == plain(value)
        assert [snapshot.name for snapshot in store.snapshots()] == sorted(
            model.snapshots, key=lambda name: model.snapshots[name][0]
        )
        for name, (_, items, _) in model.snapshots.items():
            past = store.at(name)
            assert {key: plain(past.get(key)) for key in past.list()} == {
                key: plain(value) for key, (_, value) in items.items()
            }

    @invariant()
    def plain_files_are_todays(self):
        if not getattr(self, "is_settled", False):
            return
        found = {path for path in self.store.path.rglob("*") if path.is_file() and ".axds" not in path.parts}
        assert found == {self.store.info(name).path for name in self.store.list()}
        for name, (_, value) in self.model.items.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(np.load(self.store.info(name).path), value)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=5000 if FULL else 12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a run takes too long to be shrunk by others
)
