import json
import os
from pathlib import Path

import pytest

from ataraxis_data_structures import (
    discover_marker_files,
    discover_marker_roots,
    index_marker_files,
    resolve_unique_roots,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "markers.json").read_text())


@pytest.fixture
def tree(tmp_path):
    for name in ("t/mark.yaml", "t/a/mark.yaml", "t/a/x/mark.yaml", "t/b/mark.yaml", "t/a/other.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "t/link.yaml").symlink_to("mark.yaml")
    (tmp_path / "t/dead.yaml").symlink_to("nowhere")
    (tmp_path / "t/loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "t/linked").symlink_to("a")
    (tmp_path / "t/folder.yaml").mkdir()
    return tmp_path


def relative(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


@pytest.mark.parametrize(
    ("name", "want"), [*GOLDEN["discover_marker_files"].items(), ("folder.yaml", []), ("loop.yaml", [])]
)
def test_markers_are_files_or_links_to_files_of_exactly_that_name(tree, name, want):
    assert relative(tree, discover_marker_files(tree / "t", name)) == want


@pytest.mark.parametrize(("depth", "want"), GOLDEN["index_marker_files"].items())
def test_the_index_holds_every_name_down_to_its_depth(tree, depth, want):
    found = index_marker_files(tree / "t", ["mark.yaml", "none"], max_depth=None if depth == "None" else int(depth))
    assert {name: relative(tree, paths) for name, paths in found.items()} == want
    assert all(isinstance(paths, tuple) for paths in found.values())


@pytest.mark.parametrize(("levels", "want"), GOLDEN["discover_marker_roots"].items())
def test_roots_are_ancestors_of_the_markers(tree, levels, want):
    assert relative(tree, discover_marker_roots(tree / "t", "mark.yaml", int(levels))) == want


@pytest.mark.parametrize("case", GOLDEN["resolve_unique_roots"], ids=str)
def test_unique_roots_end_at_the_deepest_component_that_no_other_path_contains(case):
    paths = [Path(path) for path in case["paths"]]
    if isinstance(case["roots"], dict):
        with pytest.raises(ValueError):
            resolve_unique_roots(paths)
    else:
        assert resolve_unique_roots(paths) == tuple(map(Path, case["roots"]))


@pytest.mark.parametrize(
    "call",
    [
        lambda root: index_marker_files(root, []),
        lambda root: index_marker_files(root, ["m"], max_depth=0),
        lambda root: discover_marker_roots(root, "mark.yaml", -1),
        lambda root: discover_marker_roots(root, "mark.yaml", 99),
    ],
)
def test_what_cannot_be_meant_is_a_value_error(tree, call):
    with pytest.raises(ValueError):
        call(tree / "t")


def test_a_missing_folder_is_not_an_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        discover_marker_files(tmp_path / "none", "m")
    with pytest.raises(FileNotFoundError):
        index_marker_files(tmp_path / "none", ["m"])


def test_a_folder_that_cannot_be_read_is_an_error(tree, unprivileged):
    (tree / "t/a").chmod(0)
    with unprivileged(tree), pytest.raises(PermissionError):
        discover_marker_files(tree / "t", "mark.yaml")
    assert os.access(tree / "t/a", os.R_OK)  # the privileges are back
