"""Folders that datafolio 1.0.0 and 2.3.0 wrote, taken over whole: the recorded ones below tests/golden/datafolio."""

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import DataFolio, import_folio

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

TREES = Path(__file__).parents[1] / "golden" / "datafolio"
VERSIONS = ("1.0.0", "2.3.0")
FRAME = pd.DataFrame(
    {
        "trial": [1, 2, 3],
        "rate": [0.5, float("nan"), 2.5],
        "label": ["a", "größe", None],
        "when": pd.date_range("2024-01-01", periods=3, tz="UTC", unit="us"),
        "group": pd.Categorical(["x", "y", "x"]),
    }
)


@pytest.fixture(autouse=True)
def _own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("version", VERSIONS)
def test_values_descriptions_inputs_and_metadata_are_what_was_written(tmp_path, version):
    tree = TREES / version / "plain"
    before = contents(tree)
    report = import_folio(tree, tmp_path / "new")
    assert contents(tree) == before
    assert (report.left, report.as_files, report.renamed) == ({}, [], {})
    folio = DataFolio(tmp_path / "new", read_only=True)
    pd.testing.assert_frame_equal(folio.get_table("trials"), FRAME, check_freq=False)
    weights = folio.get_numpy("weights")
    assert weights.dtype == np.dtype("<f4")
    assert weights.tolist() == np.arange(12).reshape(3, 4).tolist()
    assert folio.get_json("config") == {"lr": 0.01, "layers": [1, 2], "name": "größe", "deep": {"a": None}}
    assert folio.get_json("accuracy") == 0.95
    assert folio.get_json("classes") == ["cat", "dog"]
    assert folio.get_artifact("plot").read_bytes() == b"\x89PNG\r\n\x1a\n" + bytes(range(64))
    assert folio.data.raw.path == "s3://bucket/raw.parquet"
    assert {name: folio.data[name].type for name in folio.data} == {
        "accuracy": "json_data", "classes": "json_data", "config": "json_data", "plot": "artifact",
        "raw": "referenced_table", "trials": "included_table", "weights": "numpy_array",
    }  # fmt: skip
    assert [folio.data[name].description for name in ("trials", "config", "plot")] == [
        "cleaned", "settings", "figure 1",
    ]  # fmt: skip
    assert (folio.data.trials.inputs, folio.data.weights.inputs) == (["raw"], ["trials"])
    assert folio.data.raw.dependents == ["trials"]
    assert {key: folio.metadata[key] for key in ("experiment", "tags", "rig")} == {
        "experiment": "rf", "tags": ["a", "b"], "rig": 4,
    }  # fmt: skip
    assert folio.validate() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_models_are_files_until_they_are_trusted(tmp_path, version):
    pytest.importorskip("sklearn")
    pytest.importorskip("joblib")
    tree = TREES / version / "models"
    report = import_folio(tree, tmp_path / "files")
    assert [text.partition(" ")[0] for text in report.as_files] == ["ridge", "tree"]
    folio = DataFolio(tmp_path / "files")
    (written,) = (tree / "models").glob("ridge*")
    assert folio.get_artifact("ridge").read_bytes() == written.read_bytes()
    assert folio.get_json("onset") == dt.datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
    assert import_folio(tree, tmp_path / "models", trust=True).as_files == []
    folio = DataFolio(tmp_path / "models")
    assert folio.get_model("ridge").predict([[3.0]]) == pytest.approx(
        [7 / 3]
    )  # the mean 1, and two thirds for each of 2
    assert folio.get_model("tree").predict([[0.0], [2.0]]).tolist() == [0, 1]
    assert folio.data.ridge.inputs == ["x"]
    if version == "1.0.0":
        assert folio.data.ridge.metadata["hyperparameters"] == {"alpha": 1.0}
        assert folio.data.ridge.metadata["code"] == "m.fit(X, y)"


@pytest.mark.parametrize("version", VERSIONS)
def test_snapshots_that_are_whole_stay_and_others_are_named(tmp_path, version):
    """1.0.0 writes over the files of old versions, so its second snapshot has lost two items."""
    report = import_folio(TREES / version / "snapshots", tmp_path / "new")
    folio = DataFolio(tmp_path / "new")
    first = folio.get_snapshot("v1")
    assert list(first.data) == ["a", "table"]
    assert (first.get_data("a"), first.get_table("table")["v"].tolist()) == ([1, 2], [1, 2])
    assert first.metadata["accuracy"] == 0.89
    told = folio.list_snapshots()[0]
    assert (told["name"], told["description"], told["tags"]) == ("v1", "baseline", ["paper"])
    if version == "1.0.0":
        assert report.snapshots == ["v1"]
        assert list(report.left) == ["snapshot v2"]
        assert "gone" in report.left["snapshot v2"]
    else:
        assert (report.snapshots, report.left) == (["v1", "v2"], {})
        second = folio.get_snapshot("v2")
        assert (second.get_data("gone").tolist(), second.get_data("new").tolist()) == ([0, 1, 2], [[1, 1], [1, 1]])
        assert second.get_table("table")["v"].tolist() == [1, 2, 3]
        assert second.metadata["accuracy"] == 0.95
        assert [one["tags"] for one in folio.list_snapshots()] == [["paper"], ["paper", "best"]]
    assert list(folio.data) == report.items == ["a", "new", "table"]
    assert folio.get_numpy("new").tolist() == [[0, 0], [0, 0]]
    assert folio.data.new.inputs == ["table"]
    assert folio.metadata["accuracy"] == 0.97
    assert folio.validate() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_table_that_is_none_is_left_out_and_named(tmp_path, version):
    tree = shutil.copytree(TREES / version / "plain", tmp_path / "old")
    (table,) = (tree / "tables").iterdir()
    table.write_bytes(b"no table")
    record = json.loads((tree / "items.json").read_text())
    for item in record["items"]:
        item.pop("checksum", None)
    (tree / "items.json").write_text(json.dumps(record))
    report = import_folio(tree, tmp_path / "new")
    assert list(report.left) == ["trials"]
    assert "expected a table" in report.left["trials"]
    assert len(report.items) == 6
