"""What a folio promises: its words, what was made from what, snapshots, the overview, and that it is a face only."""

import ast
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import ConflictError, DataFolio, Store, StoreError
from ataraxis_data_structures.store import folio as package


@pytest.fixture(autouse=True)
def _own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


@pytest.fixture
def folio(tmp_path):
    return DataFolio(tmp_path / "exp")


class Doubling:
    """Stands for a model."""

    factor = 2

    def predict(self, values):
        return values * self.factor


def plain_files(folio):
    found = (path.relative_to(folio.path) for path in folio.path.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.parts[0] != ".axds")


def test_values_come_back_and_lie_in_folders_by_what_they_are(folio, tmp_path):
    source = tmp_path / "plot.png"
    source.write_bytes(b"\x89PNG")
    folio.add_numpy("a", np.arange(3.0)).add_json("j", {"lr": 0.1}).add_artifact("plot", source)
    folio.add_model("m", Doubling()).add_data("many", {"x": np.arange(2)}).reference_table(
        "far", "s3://bucket/far.parquet"
    )
    folio.metadata["rig"] = 4
    assert folio.get_numpy("a").tolist() == [0, 1, 2]
    assert folio.get_json("j") == {"lr": 0.1}
    assert folio.get_artifact("plot").read_bytes() == b"\x89PNG"
    assert folio.get_model("m").predict(4) == 8
    assert folio.get_data("many")["x"].tolist() == [0, 1]
    assert plain_files(folio) == [
        "artifacts/plot.png", "json/j.json", "metadata.json", "models/m.pkl", "numpy/a.npy", "numpy/many.npz",
    ]  # fmt: skip
    assert folio.list_contents() == {
        "referenced_tables": ["far"], "included_tables": [], "numpy_arrays": ["a", "many"], "json_data": ["j"],
        "models": ["m"], "pytorch_models": [], "artifacts": ["plot"],
    }  # fmt: skip


VALUES = {
    "numpy_array": np.ones((2, 3), "<f4"), "json_data": [1, "a", None, {"b": 0.5}],
    "model": Doubling(), "artifact": Path(__file__),
}  # fmt: skip


@pytest.mark.parametrize("what", VALUES)
def test_one_word_adds_every_kind_and_tells_it(folio, what):
    folio.add("item", VALUES[what], description="for the test")
    assert folio.data.item.type == folio.item_info("item")["type"] == what
    assert folio.data["item"].description == "for the test"
    assert folio.data.item.path == str(folio.store.info("item").path)
    if what == "json_data":
        assert folio.get("item") == folio.data.item.content == VALUES[what]


@pytest.mark.parametrize("value", [5, 0.5, True, None, "text", [], {}])
def test_scalars_and_empty_values_come_back_as_they_were(folio, value):
    folio.add_data("v", value)
    assert folio.get_data("v") == value
    assert type(folio.get_data("v")) is type(value)


def test_a_word_for_one_kind_refuses_others(folio):
    folio.add_json("j", 1).add_numpy("a", np.ones(2))
    for read, name in ((folio.get_numpy, "j"), (folio.get_json, "a"), (folio.get_table, "a"), (folio.get_model, "j")):
        with pytest.raises(StoreError, match=r"expected an item of type .* got"):
            read(name)
    for add, value in ((folio.add_numpy, [1, 2]), (folio.add_table, {"a": 1}), (folio.add_json, np.ones(2))):
        with pytest.raises(TypeError):
            add("new", value)
    with pytest.raises(TypeError, match="colour"):
        folio.add_json("new", 1, colour="red")
    with pytest.raises(TypeError, match="PyTorch"):
        folio.add_pytorch("new", Doubling())
    with pytest.raises(StoreError, match="reference"):
        folio.add_data("new", 1, reference="s3://b/x.csv")
    with pytest.raises(StoreError, match="reference"):
        folio.reference_table("new")
    assert "new" not in folio


def test_a_name_that_is_added_again_gets_a_new_version_unless_that_is_refused(folio):
    folio.add_data("a", 1).add_data("a", np.ones(2))
    assert folio.get_data("a").tolist() == [1, 1]
    assert folio.get_data(f"a@{folio.store.versions('a')[0]}") == 1
    assert plain_files(folio) == ["numpy/a.npy"]
    with pytest.raises(ConflictError):
        folio.add_data("a", 2, overwrite=False)


def test_what_was_made_from_what_is_told_in_both_directions(folio):
    folio.add_data("clean", 1, inputs=["raw"])  # before there is a raw
    folio.reference_table("raw", path="s3://bucket/raw.parquet", description="as recorded")
    folio.add_data("features", 2, inputs=["clean"], models=["scaler"], code="features.py")
    assert folio.data.clean.inputs == ["raw"]
    assert folio.data.features.inputs == ["clean", "scaler"]
    assert folio.data.raw.dependents == ["clean"]
    assert folio.data.clean.dependents == ["features"]
    assert folio.data.features.metadata["inputs"] == [f"clean@{folio.store.info('clean').version}", "scaler"]
    assert folio.data.features.metadata["code"] == "features.py"
    assert folio.data.raw.path == "s3://bucket/raw.parquet"


def test_deletion_warns_once_for_each_item_that_others_were_made_from(folio):
    folio.add_data("temp1", [1]).add_data("temp2", [2]).add_data("alone", 3)
    folio.add_data("final", 4, inputs=["temp1", "temp2"])
    with pytest.warns(UserWarning, match="broken lineage") as told:
        assert folio.delete(["temp1", "temp2", "alone"]) is folio
    assert [str(one.message) for one in told] == [
        f"Deleting '{name}' which is used by: final. Those items may have broken lineage."
        for name in ("temp1", "temp2")
    ]
    assert plain_files(folio) == ["json/final.json"]


def test_deletion_is_of_all_or_none_and_silent_where_it_is_asked_to_be(folio):
    folio.add_data("a", 1).add_data("b", 2, inputs=["a"])
    with pytest.raises(KeyError):
        folio.delete(["a", "missing"])
    assert "a" in folio
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folio.delete("a", warn_dependents=False)
    assert "a" not in folio


def test_other_instances_and_processes_are_seen_at_once(folio):
    other = DataFolio(folio.path)
    folio.add_data("a", 1)
    assert other.data.a.content == 1
    code = "import sys; from ataraxis_data_structures import DataFolio; DataFolio(sys.argv[1]).add_data('b', 2)"
    subprocess.run([sys.executable, "-c", code, folio.path], check=True)
    assert folio.get_data("b") == other.get_data("b") == 2
    assert "b" in other.describe(return_string=True)


def test_a_snapshot_is_what_was_and_can_be_made_what_is(folio):
    folio.add_data("a", 1).add_data("gone", 2)
    folio.metadata["accuracy"] = 0.89
    folio.create_snapshot("v1", description="baseline", tags=["paper"])
    folio.add_data("a", np.zeros(3)).add_data("new", 3).delete("gone").create_snapshot("v2")
    folio.metadata["accuracy"] = 0.85
    old = folio.get_snapshot("v1")
    assert (old.get_data("a"), old.get_data("gone"), old.metadata["accuracy"]) == (1, 2, 0.89)
    assert old.read_only
    with pytest.raises(StoreError):
        old.add_data("a", 2)
    assert DataFolio.load_snapshot(folio.path, "v1").get_data("a") == 1
    assert folio.compare_snapshots("v1", "v2") == {
        "added_items": ["new"], "removed_items": ["gone"], "modified_items": ["a"], "metadata_changes": [],
    }  # fmt: skip
    assert folio.compare_snapshots("v2")["metadata_changes"] == ["accuracy"]
    assert [(one["name"], one["description"]) for one in folio.list_snapshots()] == [("v1", "baseline"), ("v2", "")]
    assert [one["name"] for one in folio.list_snapshots(tags=["paper", "other"])] == ["v1"]
    with pytest.raises(ConflictError):
        folio.create_snapshot("v1")
    with pytest.raises(StoreError):
        folio.restore_snapshot("v1", confirm=False)
    assert folio.restore_snapshot("v1", confirm=True).get_data("a") == 1
    assert folio.metadata["accuracy"] == 0.89
    assert "new" not in folio
    folio.delete_snapshot("v2")
    assert [one["name"] for one in folio.list_snapshots()] == ["v1"]


def test_metadata_is_a_dictionary_of_which_no_change_is_lost(folio):
    folio.metadata.update({"a": 1}, b=2)
    del folio.metadata["a"]
    with pytest.raises(KeyError):
        del folio.metadata["a"]
    threads = [
        threading.Thread(target=DataFolio(folio.path).metadata.__setitem__, args=(f"k{number}", number))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(DataFolio(folio.path).metadata) == {"b": 2, **{f"k{number}": number for number in range(8)}}
    assert DataFolio(folio.path, metadata={"c": 3}).metadata["c"] == 3
    assert "_metadata" not in folio.data
    for act in (lambda: folio.add_json("_metadata", 1), lambda: folio.reference_table("_metadata", "x.csv"),
                lambda: folio.get_json("_metadata")):  # fmt: skip
        with pytest.raises(StoreError, match="metadata"):
            act()


def add_with_metadata(folio):
    with folio.batch():
        folio.add_data("c", 1)
        folio.metadata["k"] = 1


def test_a_batch_is_all_or_nothing_and_refuses_what_it_would_lose(folio):
    with folio.batch():
        folio.add_data("a", 1).add_data("b", 2)
    assert folio.store.info("a").version == folio.store.info("b").version
    with pytest.raises(StoreError):
        add_with_metadata(folio)
    assert "c" not in folio
    assert not folio.metadata


def test_items_are_attributes_that_completion_lists(folio):
    folio.add_data("results", 1).add_data("other", 2)
    assert dir(folio.data) == list(folio.data) == folio.data._ipython_key_completions_() == ["other", "results"]
    assert len(folio.data) == 2
    with pytest.raises(AttributeError, match="other, results"):
        _ = folio.data.missing
    with pytest.raises(KeyError, match="results"):
        folio.data["result"]
    assert not hasattr(folio.data, "__wrapped__")


OVERVIEW = """\
DataFolio: {path}
{rule}

Tables (1):
  • raw (reference): as recorded
    ↳ path: s3://bucket/raw.parquet

Numpy Arrays (1):
  • embeddings: of the model
    ↳ shape: [100, 128], dtype: float64
    ↳ inputs: raw

JSON Data (2):
  • accuracy
    ↳ type: float
  • config
    ↳ type: dict

Models (1):
  • classifier
    ↳ class: test_folio:Doubling
    ↳ hyperparameters: depth=3, trees=100

Metadata (4):
  • name: my_experiment
  • tags: ['a', 'b'] (list, 2 items)
  • text: {text}... (truncated)
  ... and 1 more fields"""


def test_the_overview_tells_every_item_and_the_metadata(folio, capsys):
    folio.reference_table("raw", reference="s3://bucket/raw.parquet", description="as recorded")
    folio.add_numpy("embeddings", np.zeros((100, 128)), description="of the model", inputs=["raw"])
    folio.add_json("config", {"lr": 1}).add_json("accuracy", 0.95)
    folio.add_model("classifier", Doubling(), hyperparameters={"depth": 3, "trees": 100})
    folio.metadata.update(name="my_experiment", tags=["a", "b"], text="t" * 60, last=1, created_at="now")
    expected = OVERVIEW.format(path=folio.path, rule="=" * len(f"DataFolio: {folio.path}"), text="t" * 50)
    assert folio.describe(return_string=True, max_metadata_fields=3) == expected
    assert folio.describe(max_metadata_fields=3) is None
    assert capsys.readouterr().out == expected + "\n"


def test_the_overview_shows_empty_sections_where_they_are_asked_for(folio):
    assert folio.describe(return_string=True).count("\n") == 1
    text = folio.describe(return_string=True, show_empty=True)
    for section in ("Tables", "Numpy Arrays", "JSON Data", "Models", "PyTorch Models", "Artifacts", "Metadata"):
        assert f"{section} (0):" in text


def test_a_notebook_gets_no_markup_of_a_description(folio):
    folio.add_data("a", 1, description="<script>")
    assert "&lt;script&gt;" in folio._repr_html_()
    assert "<script>" not in folio._repr_html_()


def test_a_missing_folio_is_not_made_for_reading(tmp_path):
    for read in (
        lambda: DataFolio(tmp_path / "x", read_only=True),
        lambda: DataFolio.load_snapshot(tmp_path / "x", "v"),
    ):
        with pytest.raises(FileNotFoundError):
            read()
    assert not (tmp_path / "x").exists()


def test_a_folio_is_sound_where_its_store_is(folio):
    folio.add_data("a", np.arange(3000.0))
    assert folio.validate() == []
    payload = next((folio.path / ".axds/payloads").rglob("a@*"))
    payload.chmod(0o644)
    payload.write_bytes(bytes(payload.stat().st_size))
    assert folio.validate() != []


TOUCHING = {
    "mkdir",
    "unlink",
    "rename",
    "write_bytes",
    "write_text",
    "read_bytes",
    "read_text",
    "stat",
    "exists",
    "glob",
}
MODULES = sorted(Path(package.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_folio_imports_nothing_but_the_store_and_opens_nothing(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {one.name for one in node.names} <= set()
        elif isinstance(node, ast.ImportFrom):
            plain = {"collections.abc", "contextlib", "datetime", "html", "pathlib", "typing", "warnings"}
            assert node.module in plain if not node.level else node.level <= 2 or node.module == "errors"
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in TOUCHING
            assert name != "open" or ast.unparse(node.func) == "self.store.open"


def test_a_folio_holds_its_store_and_nothing_else(folio):
    folio.add_data("a", 1)
    folio.metadata["k"] = 1
    assert list(vars(folio)) == ["store", "data"]
    assert isinstance(folio.store, Store)
    assert len(folio.data) == 1  # a look at the store, as any other
    Store(folio.path).add("b", 1)
    assert "b" in folio.data
