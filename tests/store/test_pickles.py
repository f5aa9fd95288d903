"""Models as pickles: their writer reads them, and nobody else runs their code unasked."""

import hashlib
import json
import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import DamagedError, SharedMemoryArray, Store, StoreError, UntrustedError
from ataraxis_data_structures.store import payloads
from ataraxis_data_structures.store.kinds import marks
from ataraxis_data_structures.store.ledger.lines import line_of


@pytest.fixture(autouse=True)
def _own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


@pytest.fixture
def other_user(tmp_path, monkeypatch):
    return lambda: monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s", sync="process")


class Fit:
    def __init__(self, weights):
        self.weights = weights


class Touch:
    """Writes a file when its pickle is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_an_object_comes_back_to_its_writer_and_says_what_it_is(store):
    store.add("m", Fit([1, 2]))
    assert store.get("m").weights == store.open("m").weights == [1, 2]
    item = store.info("m")
    assert item.kind == "model"
    assert item.about["class"] == "test_pickles:Fit"
    assert item.about["pickle"] is True
    assert item.path == store.path / "m.pkl"


@pytest.mark.parametrize("size", [1, 100_000])
def test_another_users_pickle_runs_nothing_until_it_is_trusted(store, tmp_path, other_user, size):
    ran = tmp_path / "ran"
    store.add("m", Touch(ran), meta={"filler": "x" * size})
    other_user()
    theirs = Store(store.path)
    for look in (theirs.get, theirs.open):
        with pytest.raises(UntrustedError, match="trust"):
            look("m")
    theirs.list()
    theirs.info("m")
    theirs.describe()
    theirs.search("m")
    theirs.snapshot("v1")
    assert theirs.verify() == []
    theirs.export(tmp_path / "copy")
    theirs.repair()
    assert not ran.exists()
    assert not (tmp_path / "another").exists()  # looking makes no key
    theirs.get("m", trust=True)
    assert ran.exists()


def test_a_mark_is_of_one_payload_in_one_store():
    key, uuid, digest = bytes(range(32)), "00000000-0000-4000-8000-000000000001", "f3d6e72eb800dea99613f8bbf13ce4e5"
    mark = marks.mark_of(uuid, digest, key)
    assert mark == "2d291a5e38589bd414f679db6af9c7144e3b289d39ffd2f765e06728ad04b25f"
    sha256 = hashlib.sha256(b"payload").hexdigest()
    own = marks.seal_of(uuid, sha256, marks.own_key())
    assert marks.is_trusted(own, uuid, sha256)
    for other in (marks.seal_of(uuid, sha256, key), marks.mark_of(uuid, sha256, marks.own_key())):
        assert not marks.is_trusted(other, uuid, sha256)
    assert not marks.is_trusted(own, uuid[:-1] + "2", sha256)
    assert not marks.is_trusted(own, uuid, "0" * 64)
    for text in ("", None, 5, "ä", own[:-1]):
        assert not marks.is_trusted(text, uuid, sha256)


def rewrite(store, change):
    """Write the ledger again with other operations, every line with a good checksum."""
    lines = [json.loads(line[9:]) for line in (store.path / ".axds/ledger").read_bytes().splitlines()]
    for line in lines:
        line["ops"] = [change(op) for op in line["ops"]]
    text = b"".join(line_of(line) for line in lines)
    for name in ("ledger", "mirror"):
        (store.path / ".axds" / name).write_bytes(text)
    return Store(store.path, read_only=True)


@pytest.mark.parametrize("kept", ["mark", "seal", "all"])
def test_a_mark_moved_to_another_payload_of_the_store_is_refused(store, tmp_path, other_user, kept):
    store.add("good", Fit(1))
    other_user()
    Store(store.path, sync="process").add("bad", Touch(tmp_path / "ran"))
    about = store.info("good").about
    moved = about if kept == "all" else {kept: about[kept]}
    forged = rewrite(store, lambda op: {**op, "about": {**op["about"], **moved}} if op["name"] == "bad" else op)
    (tmp_path / "another").rename(tmp_path / "away")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
        with pytest.raises(UntrustedError):
            forged.get("bad")
        assert forged.get("good").weights == 1
    assert not (tmp_path / "ran").exists()


def test_bytes_with_an_equal_hash_are_not_the_ones_that_were_marked(store, tmp_path, monkeypatch):
    """XXH3 is no match for somebody who looks for a collision; here every two payloads have the same hash."""

    class Constant:
        def __init__(self, data=b""):
            pass

        def update(self, data):
            pass

        def hexdigest(self):
            return "0" * 32

    monkeypatch.setattr(payloads, "xxh3_128", Constant)
    monkeypatch.setattr(payloads, "xxh3_128_hexdigest", lambda _: "0" * 32)
    store.add("m", Fit(np.zeros(1000)))
    payload = next((store.path / ".axds/payloads").rglob("m@*"))
    bad = pickle.dumps(Touch(tmp_path / "ran"))
    payload.chmod(0o644)
    payload.write_bytes(bad + bytes(payload.stat().st_size - len(bad)))
    with pytest.raises(UntrustedError):
        store.get("m")
    assert not (tmp_path / "ran").exists()


def test_a_mark_without_a_seal_is_none(store):
    store.add("m", Fit(1))

    def without(op):
        return {**op, "about": {key: value for key, value in op["about"].items() if key != "seal"}}

    with pytest.raises(UntrustedError):
        rewrite(store, without).get("m")


def test_a_colleagues_key_that_was_accepted_reads_the_colleagues_pickles(store, other_user):
    store.add("m", Fit(5))
    theirs = marks.own_key()
    other_user()
    reader = Store(store.path)
    with pytest.raises(UntrustedError):
        reader.get("m")
    name = marks.trust(theirs)
    assert marks.trust(theirs) == name
    assert reader.get("m").weights == 5
    assert stat.S_IMODE(os.stat(marks.trusted_path() / name).st_mode) == 0o600
    assert list(marks.trusted_keys()) == [name]
    marks.distrust(name)
    with pytest.raises(UntrustedError):
        reader.get("m")
    with pytest.raises(KeyError, match="fingerprint"):
        marks.distrust(name)
    for text in ("", "ab", "x" * 64, theirs.hex() + "0"):
        with pytest.raises(StoreError, match="64 hexadecimal digits"):
            marks.key_of(text)


def test_a_copy_of_the_store_is_read_and_a_payload_of_another_store_is_not(store, tmp_path):
    store.add("m", Touch(tmp_path / "ran"))
    foreign = Store(tmp_path / "foreign", sync="process")
    foreign.add("m", Fit(1))
    ledger = (store.path / ".axds/ledger").read_bytes()
    for name in ("ledger", "mirror"):
        (foreign.path / ".axds" / name).write_bytes(ledger)
    with pytest.raises(UntrustedError):
        Store(foreign.path).get("m")
    assert not (tmp_path / "ran").exists()


def test_changed_bytes_are_refused_before_they_run(store, tmp_path):
    store.add("m", Fit(np.zeros(1000)))
    payload = next((store.path / ".axds/payloads").rglob("m@*"))
    data = payload.read_bytes()
    payload.chmod(0o644)
    payload.write_bytes(data[:-2] + b"x.")
    with pytest.raises(DamagedError):
        store.get("m", trust=True)


def test_a_restored_model_is_still_its_writers(store):
    store.add("m", Fit(1))
    store.snapshot("v1")
    store.add("m", Fit(2))
    store.restore("v1")
    assert store.get("m").weights == 1
    assert [store.get(f"m@{version}").weights for version in store.versions("m")] == [1, 2, 1]


def test_the_key_is_made_once_and_for_the_user_alone():
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: marks.own_key(), range(16)))
    assert len(keys) == 1
    assert stat.S_IMODE(os.stat(marks.key_path()).st_mode) == 0o600
    assert os.listdir(marks.key_path().parent) == ["key"]


@pytest.mark.parametrize(
    "value", [print, Fit, os, lambda: 1, object(), (value for value in ()), {"a": Fit(1)}, [Fit(1)]]
)
def test_code_and_containers_of_objects_are_no_models(store, value):
    store.add("m", 1)
    with pytest.raises(TypeError):
        store.add("m", value)
    assert store.get("m") == 1


def test_a_shared_array_is_kept_as_a_copy_of_its_values(store):
    with SharedMemoryArray.create_array("kept_by_a_store", np.arange(5), exists_ok=True) as shared:
        store.add("a", shared)
        shared[0] = 9
        assert store.get("a").tolist() == [0, 1, 2, 3, 4]
        shared.destroy()
