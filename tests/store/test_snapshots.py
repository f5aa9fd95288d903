"""Snapshots: one short line whatever the store holds, and the exact bytes whatever happens to it afterwards."""

import numpy as np
import pytest

from ataraxis_data_structures import DataFolio, Store


@pytest.mark.parametrize("items", [10, 10_000])
def test_a_snapshot_is_one_line_of_at_most_300_bytes(tmp_path, items):
    store = Store(tmp_path / "s", sync="process")
    with store.batch():
        for number in range(items):
            store.add(f"item{number}", number)
    ledger = store.path / ".axds" / "ledger"
    before = ledger.stat().st_size
    store.snapshot("v1", note="baseline of the paper", tags=["paper", "best"])
    added = ledger.read_bytes()[before:]
    assert added.count(b"\n") == 1
    assert len(added) <= 300
    assert len(store.at("v1")) == items


def put(store, turn):
    rng = np.random.default_rng(turn)
    store.add("array", rng.random(500))
    store.add("json", {"turn": turn})
    store.add("large", rng.integers(0, 255, 1 << 21, np.uint8))
    store.extend("grown", rng.random((7, 2)))


def contents(store):
    """Return all bytes of all items."""
    return {name: store.checked_file(name).read_bytes() for name in ("array", "json", "large")} | {
        "grown": store.get("grown").tobytes()
    }


def test_it_gives_the_exact_bytes_after_overwrite_delete_gc_and_restore(tmp_path):
    store = Store(tmp_path / "s", sync="process")
    put(store, 1)
    wanted = contents(store)
    store.snapshot("v1")
    deeds = {
        "overwrite": lambda: put(store, 2),
        "delete": lambda: store.delete(["array", "json", "large", "grown"]),
        "gc": lambda: store.gc(grace_s=0, history="snapshots"),
        "other kinds": lambda: (store.add("array", {"now": "json"}), store.add("json", np.ones(3))),
        "restore": lambda: store.restore("v1"),
        "gc again": lambda: store.gc(grace_s=0, history="snapshots"),
        "further rows": lambda: store.extend("grown", np.zeros((3, 2))),
        "repair": store.repair,
    }
    for what, deed in deeds.items():
        deed()
        for reader in (store, Store(store.path, read_only=True)):
            assert contents(reader.at("v1")) == wanted, what
        assert store.verify() == [], what
        if what == "restore":
            assert contents(store) == wanted


def test_verify_covers_what_only_a_snapshot_has(tmp_path):
    folio = DataFolio(tmp_path / "exp").add_numpy("a", np.arange(2000.0)).create_snapshot("v1")
    folio.add_numpy("a", np.zeros(2000))
    folio.store.gc(grace_s=0, history="snapshots")
    assert folio.validate() == []
    payload = folio.path / ".axds/payloads/a@1.npy"
    payload.chmod(0o644)
    with payload.open("r+b") as file:
        file.seek(9000)
        file.write(b"x")
    (fault,) = folio.validate()
    assert "a@1" in fault.message
