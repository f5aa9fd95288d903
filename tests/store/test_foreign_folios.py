"""Folders in the form of datafolio that are damaged, hostile, or none; what was written by it: tests/extras."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import DataFolio, Store, StoreError, import_folio
from ataraxis_data_structures.cli import main


def item(name, what="json_data", filename=None, **more):
    return {"name": name, "item_type": what, "filename": filename or f"{name}.json", "version_id": f"{name}-1", **more}


@pytest.fixture
def tree(tmp_path):
    """A function that writes a folder with these items, each JSON value 1."""

    def write(*items, **more):
        folder = tmp_path / "old"
        for name in ("artifacts", "models", "tables"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for one in items:
            name = one["filename"]
            if isinstance(name, str) and "/" not in name and ".." not in name and one["item_type"] == "json_data":
                (folder / "artifacts" / name).write_text("1")
        record = {"schema_version": 2, "metadata": {}, "items": list(items), "snapshots": {}, **more}
        (folder / "items.json").write_text(json.dumps(record))
        return folder

    return write


@pytest.mark.parametrize(
    "name", ["../../secret.json", "/etc/hostname", "a/../../../secret.json", "link.json", "", None, 5]
)
def test_no_file_outside_of_the_folder_is_taken(tree, tmp_path, name):
    (tmp_path / "secret.json").write_text('"secret"')
    folder = tree(item("a", filename=name), item("b"), metadata={"rig": 4})
    if name == "link.json":
        (folder / "artifacts/link.json").unlink()
        (folder / "artifacts/link.json").symlink_to(tmp_path / "secret.json")
    record = json.loads((folder / "items.json").read_text())
    record["items"][0]["filename"] = name
    (folder / "items.json").write_text(json.dumps(record))
    report = import_folio(folder, tmp_path / "new")
    assert report.items == ["b"]
    assert list(report.left) == ["a"]
    assert "secret" not in str(Store(tmp_path / "new").search("secret"))


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_nothing_of_a_hostile_folder_runs(tree, tmp_path):
    folder = tree(
        item("m", "model", "m.joblib"), item("o", "numpy_array", "o.npy"), item("u", "unheard_of", "u.pkl"), item("b")
    )
    attack = pickle.dumps(Touch(tmp_path / "ran"))
    (folder / "models/m.joblib").write_bytes(attack)
    (folder / "artifacts/u.pkl").write_bytes(attack)
    np.save(folder / "artifacts/o.npy", np.array([Touch(tmp_path / "ran")]), allow_pickle=True)
    report = import_folio(folder, tmp_path / "new")
    assert report.items == ["b", "m", "u"]
    assert list(report.left) == ["o"]
    assert not (tmp_path / "ran").exists()
    assert DataFolio(tmp_path / "new").get_artifact("m").read_bytes() == attack


def test_a_changed_file_is_named_with_its_checksums(tree, tmp_path):
    folder = tree(item("a", checksum="0" * 32), item("b", checksum="c4ca4238a0b923820dcc509a6f75849b"))
    report = import_folio(folder, tmp_path / "new")
    assert report.items == ["b"]
    assert "MD5" in report.left["a"]


def test_names_that_a_store_refuses_get_others_also_among_inputs(tree, tmp_path):
    folder = tree(item("my item", filename="x.json"), item("b", inputs=["my item", "never seen!"]))
    report = import_folio(folder, tmp_path / "new")
    assert report.renamed == {"my item": "my_item", "never seen!": "never_seen_"}
    assert DataFolio(tmp_path / "new").data.b.inputs == ["my_item", "never_seen_"]


BROKEN = {
    "no JSON": b"{",
    "a list of numbers": b"[1, 2]",
    "no items": b'{"schema_version": 2}',
    "a newer version": b'{"schema_version": 3, "items": []}',
    "items without a name": b'{"schema_version": 2, "items": [{}]}',
    "text": b'"text"',
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_catalog_of_another_form_is_a_named_error_and_makes_no_store(tree, tmp_path, what):
    folder = tree(item("a"))
    (folder / "items.json").write_bytes(BROKEN[what])
    with pytest.raises(StoreError, match="expected"):
        import_folio(folder, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_folder_of_datafolio_itself_or_with_items_is_imported_into(tree, tmp_path):
    folder = tree(item("a"))
    with pytest.raises(StoreError, match="another folder"):
        import_folio(folder, folder)
    with pytest.raises(FileNotFoundError, match=r"items\.json"):
        import_folio(tmp_path, tmp_path / "new")
    Store(tmp_path / "full").add("x", 1)
    with pytest.raises(StoreError, match="without items"):
        import_folio(folder, tmp_path / "full")
    assert Store(tmp_path / "full").list() == ["x"]
    assert sorted(os.listdir(folder)) == ["artifacts", "items.json", "models", "tables"]


def test_the_command_tells_what_was_left(tree, tmp_path, capsys):
    folder = tree(item("a"), item("gone", filename="b.json"))
    (folder / "artifacts/b.json").unlink()
    assert main(["store", "import-folio", str(folder), str(tmp_path / "new"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["items"], list(told["left"])) == (["a"], ["gone"])
    assert main(["store", "import-folio", str(folder), str(tmp_path / "again")]) == 1
    assert capsys.readouterr().out.splitlines()[0] == f"1 items and 0 snapshots in {tmp_path / 'again'}"


def test_a_table_names_the_extra_where_pandas_is_missing(tree, tmp_path):
    folder = tree(item("t", "included_table", "t.parquet"))
    (folder / "tables/t.parquet").write_bytes(b"PAR1")
    code = (
        "import sys; sys.modules['pandas'] = None; from ataraxis_data_structures import import_folio\n"
        "import_folio(*sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder, tmp_path / "new"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ataraxis-data-structures[tables]" in done.stderr
