"""The commands for stores, run as a program."""

import json

import numpy as np
import pytest

from ataraxis_data_structures import Store


@pytest.fixture
def folder(tmp_path):
    store = Store(tmp_path / "exp")
    store.add("emb", np.arange(6.0).reshape(2, 3), note="größe")
    store.add("config", {"lr": 0.01, "shape": (3, 4)}, inputs=["emb"])
    store.snapshot("v1", note="before", tags=["paper"])
    store.add("config", 1)
    return store.path


def test_a_store_is_made_filled_and_read(axds, tmp_path):
    folder = tmp_path / "new"
    assert axds("store", "init", folder).status == 0
    (tmp_path / "plot.png").write_bytes(b"png")
    np.save(tmp_path / "a.npy", np.arange(3))
    assert axds("store", "add", folder, "figures/plot", tmp_path / "plot.png").out == "figures/plot@1\n"
    assert axds("store", "add", folder, "a", tmp_path / "a.npy", "--note", "n", "--json").json == {
        "name": "a",
        "version": 2,
    }
    assert axds("store", "add", folder, "b", "--value", '{"x": [1]}', "--input", "a").status == 0
    assert axds("store", "get", folder, "b").out == '{"x": [1]}\n'
    assert axds("store", "get", folder, "figures/plot", "-o", tmp_path / "copy.png").status == 0
    assert (tmp_path / "copy.png").read_bytes() == b"png"
    assert np.load(axds("store", "get", folder, "a").out.strip()).tolist() == [0, 1, 2]
    assert Store(folder).info("a").kind == "array"
    assert axds("store", "add", folder, "a", "--value", "1", "--new").status == 1
    assert axds("store", "add", folder, "a", "--value", "{").status == 2


def test_items_are_listed_shown_and_described(axds, folder):
    rows = axds("store", "ls", folder, "--json").json
    assert [(row["name"], row["version"], row["kind"]) for row in rows] == [("config", 4, "json"), ("emb", 1, "array")]
    assert [row["version"] for row in axds("store", "ls", folder, "--at", "v1", "--json").json] == [2, 1]
    assert "emb" in axds("store", "ls", folder, "--kind", "array").out
    shown = axds("store", "show", folder, "config@2", "--json").json
    assert (shown["versions"], shown["lineage"]) == ([2, 4], ["emb@1"])
    assert "größe" in axds("store", "describe", folder).out
    assert axds("store", "status", folder, "--json").json["versions"] == 3
    assert axds("store", "get", folder, "config", "--at", "v1", "--json").json["value"]["shape"] == {"$tuple": [3, 4]}


def test_snapshots_are_made_compared_and_restored(axds, folder):
    assert axds("store", "snapshot", "create", folder, "v2", "--tag", "x", "--json").json == {"name": "v2", "at": 4}
    assert [row["name"] for row in axds("store", "snapshot", "list", folder, "--json").json] == ["v1", "v2"]
    assert axds("store", "snapshot", "show", folder, "v1", "--json").json["at"] == 2
    diff = axds("store", "snapshot", "diff", folder, "v1", "v2", "--json")
    assert (diff.status, diff.json["changed"]) == (1, ["config"])
    assert axds("store", "snapshot", "diff", folder, "v2").status == 0
    assert axds("store", "snapshot", "restore", folder, "v1").status == 0
    assert Store(folder).get("config") == {"lr": 0.01, "shape": (3, 4)}
    assert axds("store", "snapshot", "delete", folder, "v1").status == 0
    assert axds("store", "export", folder, folder.parent / "out").status == 0
    assert sorted(path.name for path in (folder.parent / "out").iterdir()) == ["config.json", "emb.npy"]


def test_damage_is_a_status_and_repair_ends_it(axds, folder):
    assert axds("store", "verify", folder).status == 0
    (folder / ".axds" / "ledger").unlink()
    (folder / "emb.npy").unlink()
    assert axds("store", "ls", folder).status == 1
    assert axds("store", "verify", folder, "--json").json["ok"] is False
    assert axds("store", "repair", folder).status == 0
    assert axds("store", "verify", folder, "--quick").out == "all as it was committed\n"
    (folder / "config.json").chmod(0o644)
    (folder / "config.json").write_text("[2]")
    got = axds("store", "verify", folder)
    assert (got.status, got.out[:4]) == (1, "view")
    assert axds("store", "adopt", folder, "config").status == 0
    assert json.loads(axds("store", "get", folder, "config").out) == [2]
    assert axds("store", "rm", folder, "config", "emb").status == 0
    assert axds("store", "ls", folder).out == "no items\n"
    assert axds("store", "gc", folder, "--grace", "0", "--history", "snapshots", "--json").json["versions"] == 2


def test_a_colleagues_key_is_accepted_listed_and_forgotten(axds, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "colleague"))
    own = axds("store", "trust", "--own", "--json").json
    assert axds("store", "trust", "--own").out == own["key"] + "\n"
    (tmp_path / "key").write_text(own["key"] + "\n")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "mine"))
    for key in (own["key"], tmp_path / "key"):
        assert axds("store", "trust", key, "--json").json == {"accepted": own["fingerprint"]}
    assert axds("store", "trust", "--list").out == own["fingerprint"] + "\n"
    assert axds("store", "trust", "--forget", own["fingerprint"]).status == 0
    assert axds("store", "trust", "--list", "--json").json == []
    assert axds("store", "trust", "--forget", own["fingerprint"]).status == 1
    assert axds("store", "trust").status == 2
