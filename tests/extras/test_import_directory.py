"""Trees that datamate 1.0.0 wrote, and what each of its verbs is here."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import Store, StoreError, import_directory
from ataraxis_data_structures.store import directory as datamate
from ataraxis_data_structures.store.directory import Config, Directory, set_root_context, set_root_dir

h5py = pytest.importorskip("h5py")
pandas = pytest.importorskip("pandas")
TESTS = Path(__file__).parents[1]
TREE = TESTS / "golden" / "datamate_tree.tar.xz"  # written by datamate 1.0.0: arrays, a table, a file, a build
PAGE = TESTS.parent / "docs" / "how-to" / "move-from-datamate.md"


@pytest.fixture
def tree(tmp_path):
    with tarfile.open(TREE) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old"


@pytest.fixture(autouse=True)
def root_dir(tmp_path):
    set_root_dir(tmp_path / "exp")
    yield tmp_path / "exp"
    set_root_dir(None)


def test_a_tree_that_datamate_wrote_is_taken_over(tree, root_dir):
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    report = import_directory(tree, root_dir)
    assert (len(report.items), report.as_files, report.left) == (12, [], {})
    exp = Directory("study/model_01")
    assert exp.keys() == ["flags", "grown", "images", "notes.txt", "number", "table", "text"]
    assert exp.config == {"optimizer": "Adam", "learning_rate": 0.001, "layers": [3, 4]}
    for key in ("flags", "grown", "images", "number", "text"):
        with h5py.File(tree / "study" / "model_01" / f"{key}.h5") as file:
            want = file["data"][()]
        np.testing.assert_array_equal(exp[key], want)
        assert exp[key].dtype == want.dtype
        with h5py.File(root_dir / "study" / "model_01" / f"{key}.h5") as file:
            np.testing.assert_array_equal(file["data"][()], want)
    assert exp.table["label"].tolist() == ["a", "b"]
    assert exp.notes__txt.read_text() == "a note\n"
    assert Directory("study/model_01", dict(exp.config)) == exp
    assert Directory({"type": "Model", "n": 4, "lr": 0.5}).path == root_dir / "Model_0000"
    assert Directory("Model_0000").sub.bias.dtype == np.float32
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before
    assert Store(root_dir).version == 1
    assert Store(root_dir).verify() == []


def test_what_is_none_of_datamates_is_kept_as_a_file_or_told(tree, root_dir):
    with h5py.File(tree / "other.h5", "w") as file:
        file["x"], file["y"] = 1, 2
    (tree / "bad.h5").write_bytes(b"no HDF5")
    (tree / "odd name.txt").write_text("x")
    (tree / "study" / "_meta.yaml").write_text("[1, 2")
    report = import_directory(tree, root_dir)
    assert report.as_files == ["bad.h5", "other.h5", "study/_meta.yaml"]
    assert list(report.left) == ["odd name.txt"]
    assert Directory(root_dir)["bad.h5"].read_bytes() == b"no HDF5"
    command = [sys.executable, "-m", "ataraxis_data_structures.cli", "store", "import-directory"]
    done = subprocess.run([*command, str(tree), str(root_dir / "x")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "as a file other.h5" in done.stdout
    assert "left      odd name.txt" in done.stdout


def test_a_folder_of_something_else_is_refused(tmp_path, tree, root_dir):
    with pytest.raises(FileNotFoundError, match="datamate"):
        import_directory(tmp_path / "none", root_dir)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="got none"):
        import_directory(tmp_path / "empty", root_dir)
    with pytest.raises(StoreError, match="outside"):
        import_directory(tree, tree / "new")
    Directory("a").extend("x", [1])
    with pytest.raises(StoreError, match="without items"):
        import_directory(tree, root_dir)


# ---- the table


class Weights(Directory):
    class Config:
        rate = 0.5

    def __init__(self, n=2):
        self.weights = np.arange(float(n)) * self.config.rate


def sample(name="sample"):
    exp = Directory(name, {"lr": 0.1, "name": name})
    exp.x, exp.y = np.arange(3.0), np.array([b"a", b"b", b"c"])
    exp.table = pandas.DataFrame({"a": [1, 2]}, index=[5, 6])
    exp["notes.txt"] = PAGE
    exp.sub = {"z": 1}
    return exp


def error_of(deed):
    try:
        deed()
    except (AttributeError, KeyError, FileExistsError) as error:
        return type(error)
    return None


def found_by_config():
    made = Directory({"lr": 3})
    return Directory({"lr": 3}).path == made.path and Directory(lr=3).path == made.path


def written():
    exp = sample("written")
    exp.x = [9]
    exp["status"] = [1]
    del exp.y
    exp.extend("x", [10])
    exp.update({"x": [0], "w": [5]})
    return (exp.x.tolist(), exp.w.tolist(), exp["status"].tolist(), "y" in exp)


def moved():
    exp = sample("moved").move("moved2")
    whole = exp.x.tolist()
    exp.rmtree("y")
    return whole, exp.is_empty


def is_absent(*names):
    return not any(hasattr(datamate, name) or hasattr(Directory, name) for name in names)


def root_of():
    with set_root_context("elsewhere"):
        return str(datamate.get_root_dir())


ROWS = {
    "`Directory()`": lambda: Directory().path.name == "Directory_0000",
    "`Directory(path)`": lambda: Directory("@/a").path == Directory("a").path,
    "`Directory(config)`": found_by_config,
    "`Directory(path, config)`": lambda: bool(sample())
    and error_of(lambda: Directory("sample", {})) is FileExistsError,
    "`Directory(**config)`": found_by_config,
    "`class Config`": lambda: Weights(n=3).config == {"type": "Weights", "n": 3, "rate": 0.5},
    "`__init__` of a subclass": lambda: Weights(n=3).weights.tolist() == [0, 0.5, 1],
    '`d.x`, `d["x"]` of an array': lambda: (type(sample().x), sample().x[:].mean()) == (np.ndarray, 1),
    '`d.x`, `d["x"]` of a table': lambda: sample().table.index.tolist() == [5, 6],
    '`d.x`, `d["x"]` of a file': lambda: sample().notes__txt.read_bytes() == PAGE.read_bytes(),
    '`d.x`, `d["x"]` of a directory': lambda: sample().sub.z == sample()["sub"].z == 1,
    '`d.x`, `d["x"]` of nothing': lambda: (error_of(lambda: sample().no), error_of(lambda: sample()["no"])) == (
        AttributeError, KeyError),
    '`d / "x"`': lambda: (sample() / "x").tolist() == [0, 1, 2] and (sample() / "new").is_empty,
    '`d.x = value`, `d["x"] = value`': lambda: written() == ([9, 10], [5], [1], False),
    '`del d.x`, `del d["x"]`': lambda: written()[3] is False,
    "`extend`": lambda: written()[0] == [9, 10],
    "`update`": lambda: written()[1] == [5],
    "`keys`, `items`, `len`, `iter`, `in`": lambda: list(sample()) == sample().keys()
    and [key for key, _ in sample().items()] == sample().keys()
    and len(sample()) == 5 and "x" in sample(),
    "`config`, `meta`, `status`": lambda: (sample().meta.config.lr, sample().status) == (0.1, "done"),
    "`path`, `parent`, `size`, `mtime`, `is_empty`": lambda: sample().parent.path == sample().path.parent
    and sample().size > 0 and sample().mtime().year > 2000 and not sample().is_empty,
    "`move`": lambda: moved()[0] == [0, 1, 2],
    "`rmtree`": lambda: moved()[1],
    "`==`, `diff`": lambda: sample() == sample("other")
    and sample().diff(sample("other")) == {"sample": [], "other": []}
    and sample() != 5,
    "`DirectoryDiff`": lambda: datamate.diff(sample(), sample("other")) == {"sample": [], "other": []},
    "`tree`, `repr`": lambda: sample().tree() is None and "x.h5  <f8 (3)" in repr(sample()),
    "`to_df`, `to_dict`": lambda: sample().to_df()["y"].tolist() == ["a", "b", "c"]
    and [*sample().to_dict()] == ["x", "y"],
    "`from_df`": lambda: Directory.from_df(pandas.DataFrame({"q": [1]}), {"q": "f4"}, "frame").q.dtype == np.float32,
    "`set_root_dir`, `get_root_dir`": lambda: datamate.get_root_dir().name == "exp",
    "`root`": lambda: datamate.root("mine")(lambda: str(datamate.get_root_dir()))() == "mine",
    "`set_root_context`": lambda: root_of() == "elsewhere",
    "`Namespace`": lambda: isinstance(sample().config, Config) and sample().config.lr == 0.1,
    "`namespacify`": lambda: is_absent("namespacify") and Config({"a": 1}).a == 1,
    "`modified`": lambda: is_absent("modified") and len(Store(sample().path.parent).versions("sample/x")) == 1,
    "`ArrayFile`": lambda: is_absent("ArrayFile"),
    "`enforce_config_match`": lambda: is_absent("enforce_config_match"),
    "`check_size`, `check_size_on_init`, `get_check_size_on_init`": lambda: is_absent(
        "check_size", "check_size_on_init", "get_check_size_on_init"),
    "`set_verbosity_level`": lambda: is_absent("set_verbosity_level"),
    "`reset_scope`": lambda: is_absent("reset_scope"),
    "`delete_if_exists`": lambda: is_absent("delete_if_exists"),
}  # fmt: skip
# What datamate 1.0.0 exports, and the public attributes of its Directory.
PEER = [
    "ArrayFile", "Directory", "DirectoryDiff", "Namespace", "namespacify", "set_root_dir", "get_root_dir",
    "enforce_config_match", "check_size_on_init", "get_check_size_on_init", "set_verbosity_level", "root",
    "set_root_context", "reset_scope", "delete_if_exists", "Config", "check_size", "config", "diff", "extend",
    "from_df", "is_empty", "items", "keys", "meta", "modified", "move", "mtime", "parent", "path", "rmtree", "size",
    "status", "to_df", "to_dict", "tree", "update",
]  # fmt: skip


def rows():
    return re.findall(r"^\| (.+?) \| .+ \|$", PAGE.read_text(), re.MULTILINE)[1:]


def test_the_table_has_every_name_of_datamate():
    assert set(rows()) == set(ROWS)
    text = " ".join(rows())
    assert [name for name in PEER if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("row", ROWS)
def test_each_row_of_the_table_holds(row, root_dir):
    if row not in rows():
        pytest.fail(f"expected the row {row} in {PAGE}")
    assert ROWS[row]()
    assert not root_dir.exists() or Store(root_dir).verify() == []
    shutil.rmtree(root_dir, ignore_errors=True)
