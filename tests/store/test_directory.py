"""Directories: names, configurations, builds by several processes and by killed ones; no HDF5 is needed here."""

import copy
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from ataraxis_data_structures import ProcessingTracker, Store
from ataraxis_data_structures.store import directory as datamate
from ataraxis_data_structures.store.directory import Directory, get_root_dir, root, set_root_context, set_root_dir
from helpers.crash import FULL, chosen, kill_at, trace

LIMIT_S = 1 if FULL else 20  # the short form runs beside other tests, on a machine that may be loaded


@pytest.fixture(autouse=True)
def root_dir(tmp_path):
    set_root_dir(tmp_path / "exp")
    yield tmp_path / "exp"
    set_root_dir(None)


class Numbers(Directory):
    """Counts its builds in a file beside the root."""

    def __init__(self, n=3, scale=1.0):
        with (get_root_dir().parent / "built").open("a") as file:
            file.write(f"{os.getpid()}\n")
        self.extend("rows", np.arange(float(n)) * scale)
        self.extend("rows", np.ones(1))
        self.extend("total", [self.rows[:].sum()])
        (self.path / "notes.txt").write_text("by hand")


class Failing(Directory):
    def __init__(self, code=0):
        self.extend("rows", np.zeros(code + 1))
        raise OSError(code, "no camera")


def count(root_dir):
    path = root_dir.parent / "built"
    return len(path.read_text().splitlines()) if path.exists() else 0


# ---- names


def test_a_directory_makes_its_store_on_its_first_write_and_lies_below_the_root(root_dir):
    exp = Directory("study/model_01")
    assert not root_dir.exists()
    assert (len(exp), exp.keys(), exp.config, exp.status) == (0, [], None, "done")
    exp.extend("losses", [1.0, 2.0])
    assert (root_dir / ".axds").is_dir()
    assert (root_dir / "study" / "model_01" / "losses.npy").is_file()
    assert exp.path == root_dir / "study" / "model_01"
    assert Store(root_dir).list() == ["study/model_01/losses"]


def test_an_array_is_a_read_only_map(root_dir):
    exp = Directory("a")
    exp.extend("x", np.arange(6.0).reshape(3, 2))
    assert exp.x.mean() == 2.5
    assert type(exp.x) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        exp.x[0] = 1
    exp.extend("x", [[6.0, 7.0]])
    assert exp.x.shape == (4, 2)


def test_a_missing_name_says_what_is_there(root_dir):
    exp = Directory("a")
    exp.extend("losses", [1.0])
    with pytest.raises(AttributeError, match=r"\['losses'\].*'loses'.*near it: losses"):
        exp.loses  # noqa: B018
    with pytest.raises(KeyError, match="near it: losses"):
        exp["loses"]
    with pytest.raises(AttributeError, match="losses"):
        del exp.loses
    with pytest.raises(KeyError):
        del exp["loses"]
    assert not hasattr(exp, "__array__")


@pytest.mark.parametrize("name", ["status", "path", "keys", "move", "extend", "_home", "meta"])
def test_names_of_the_class_are_never_shadowed_and_are_taken_as_items(name, tmp_path, root_dir):
    (tmp_path / "value.txt").write_text("text")
    exp = Directory("a")
    before = getattr(exp, name)
    with pytest.raises(AttributeError, match=r'write d\["'):
        setattr(exp, name, tmp_path / "value.txt")
    if not name.startswith("_"):
        exp[name] = tmp_path / "value.txt"
        assert exp[name].read_text() == "text"
        assert exp.keys() == [name]
    assert str(getattr(exp, name)) == str(before)


def test_files_folders_and_sub_directories(tmp_path, root_dir):
    source = tmp_path / "given"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "b.bin").write_bytes(b"b")
    (source / "a.txt").write_text("a")
    exp = Directory("exp1")
    exp.notes__txt = source / "a.txt"
    exp["folder"] = source
    sub = exp / "sub"
    sub.extend("x", [1, 2])
    assert exp["notes.txt"] == exp.notes__txt == exp.path / "notes.txt"
    assert exp.folder.deep["b.bin"].read_bytes() == b"b"
    assert exp.sub.x.tolist() == (exp / "sub" / "x").tolist() == exp["sub/x"].tolist() == [1, 2]
    assert list(exp) == exp.keys() == ["folder", "notes.txt", "sub"]
    assert len(exp) == 3
    assert "sub" in exp
    assert "sup" not in exp
    assert {"notes__txt", "sub", "move"} <= set(dir(exp))
    assert exp.sub.parent.keys() == exp.keys()
    exp.extend("notes.txt", source / "a.txt")
    assert exp.notes__txt.read_text() == "aa"
    exp.extend("sub", {"x": [3], "y": [1.5]})
    assert exp.sub.x.tolist() == [1, 2, 3]
    exp.copied = {"inner": source / "a.txt"}
    del exp.folder
    del exp["sub"]
    assert exp.keys() == ["copied", "notes.txt"]
    assert Store(root_dir).verify() == []


def test_what_a_value_replaces_is_gone_in_the_same_transaction(tmp_path, root_dir):
    (tmp_path / "f.txt").write_text("f")
    exp = Directory("a")
    exp.x = {"one": tmp_path / "f.txt", "two": tmp_path / "f.txt"}
    version = Store(root_dir).version
    exp.x = tmp_path / "f.txt"
    assert Store(root_dir).version == version + 1
    assert exp.x.read_text() == "f"
    assert Store(root_dir).list() == ["a/x"]
    exp.x = {"one": tmp_path / "f.txt"}
    assert Store(root_dir).list() == ["a/x/one"]


def test_update_takes_what_is_missing(tmp_path):
    (tmp_path / "f").write_text("f")
    (tmp_path / "g").write_text("g")
    one, other = Directory("one"), Directory("other")
    one.x = tmp_path / "f"
    other.x, other.y = tmp_path / "g", tmp_path / "g"
    one.update(other)
    assert (one.x.read_text(), one.y.read_text()) == ("f", "g")
    one.update(other, suffix="_2")
    assert one.keys() == ["x", "x_2", "y", "y_2"]


def test_equality_diff_tree_move_and_rmtree(tmp_path, root_dir, capsys):
    one, other = Directory("one", {"lr": 0.1}), Directory("other", {"lr": 0.1})
    for made in (one, other):
        made.extend("x", np.arange(3.0))
        (made / "sub").extend("y", np.array([np.nan]))
    assert one == other
    assert datamate.diff(one, other) == {"one": [], "other": []}
    other.extend("x", [9.0])
    other.extend("z", [1])
    assert one != other
    assert one.diff(other) == {
        "one": ["≠ x: float64 (3,)"],
        "other": ["+ z", "≠ x: float64 (4,)"],
    }
    one.tree()
    assert "x.npy  <f8 (3)" in capsys.readouterr().out
    assert "sub/" in repr(one)
    moved = one.move("three")
    assert moved.path == root_dir / "three"
    assert moved.x.tolist() == [0, 1, 2]
    assert (moved.config.lr, moved.sub.y.shape) == (0.1, (1,))
    assert not (root_dir / "one").exists()
    assert Directory({"lr": 0.1}).path in (moved.path, other.path)
    with pytest.raises(FileExistsError):
        moved.move("other")
    moved.rmtree("n")
    assert len(moved) == 2
    moved.rmtree("y")
    assert not moved.path.exists()
    assert Store(root_dir).verify() == []
    assert other.size > 0
    assert other.mtime().year >= 2024


def test_a_directory_goes_through_copy_and_pickle():
    exp = Directory("a")
    exp.extend("x", [1])
    for again in (copy.copy(exp), copy.deepcopy(exp), pickle.loads(pickle.dumps(exp))):
        assert again == exp
        assert again.x.tolist() == [1]


def test_roots_of_blocks_and_functions(tmp_path, root_dir):
    @root(tmp_path / "other")
    def path():
        return Directory("a").path

    assert path() == tmp_path / "other" / "a"
    with set_root_context(tmp_path / "block"):
        assert get_root_dir() == tmp_path / "block"
        assert path() == Directory("a").path == tmp_path / "block" / "a"
    assert get_root_dir() == root_dir
    assert Directory("@/a").path == Directory("a").path == root_dir / "a"
    assert Directory(tmp_path / "far").path == tmp_path / "far"
    with pytest.raises(TypeError, match="function"):
        root(tmp_path)(Directory)


# ---- configurations


def test_the_configuration_is_yaml_that_anybody_reads_and_has_attributes(root_dir):
    config = {"model": "01", "lr": 1e-5, "sizes": (3, 4), "deep": {"on": True, "no": None}, "kind": np.float32(0.5)}
    exp = Directory("a/b", config)
    kept = yaml.safe_load((root_dir / "a" / "b" / "_meta.yaml").read_text())
    assert kept == {
        "config": {"model": "01", "lr": 1e-5, "sizes": [3, 4], "deep": {"on": True, "no": None}, "kind": 0.5},
        "status": "done",
    }
    again = Directory("a/b")
    assert again.config == kept["config"]
    assert (again.config.lr, again.config.deep.on, again.status, again.meta.status) == (1e-5, True, "done", "done")
    with pytest.raises(AttributeError, match="expected one of"):
        exp.config.rate  # noqa: B018
    assert exp.keys() == []


def test_another_configuration_is_an_error_with_the_difference():
    Directory("a", {"lr": 0.1, "n": {"x": 1}})
    Directory("a", {"n": {"x": 1}, "lr": 0.1})
    with pytest.raises(FileExistsError, match=r"lr: passed 0.2, stored 0.1; n.x: passed 2, stored 1"):
        Directory("a", {"lr": 0.2, "n": {"x": 2}})
    exp = Directory("a")
    exp.config = {"lr": 0.2}
    assert Directory("a", {"lr": 0.2}).config == {"lr": 0.2}


@pytest.mark.parametrize("bad", [{"x": object()}, {"x": [{"y": {1, 2}}]}, {1: 2}], ids=["object", "set", "key"])
def test_a_configuration_that_yaml_can_not_hold_is_refused(bad, root_dir):
    with pytest.raises(TypeError, match="config"):
        Directory("a", bad)
    assert not root_dir.exists()


def test_a_directory_is_found_by_its_configuration():
    made = Directory({"lr": 0.1})
    assert Directory({"lr": 0.1}).path == made.path
    assert Directory(lr=0.1).path == made.path
    assert Directory(config={"lr": 0.1}).path == made.path
    assert Directory({"lr": 0.2}).path != made.path
    named = Directory("named", {"lr": 0.3})
    assert Directory({"lr": 0.3}).path == named.path
    named.rmtree("y")
    assert Directory({"lr": 0.3}).path != named.path
    made.config = {"lr": 5}
    assert Directory({"lr": 0.1}).path != made.path


def test_a_type_in_a_configuration_is_text_and_imports_nothing(root_dir):
    made = Directory("x", {"type": "os.path", "n": 1})
    assert type(made) is Directory
    assert made.config == {"type": "os.path", "n": 1}
    assert type(Directory("x")) is Directory
    assert type(Directory({"type": "Numbers", "n": 2})) is Numbers
    assert type(Directory({"type": Numbers, "n": 2})) is Numbers
    assert count(root_dir) == 1


@pytest.mark.parametrize("arguments", [(1,), ("a", 1), ("a", {}, {}), ({}, {})])
def test_other_arguments_are_refused(arguments):
    with pytest.raises(TypeError, match="expected Directory"):
        Directory(*arguments)


# ---- builds


def test_a_build_runs_once_and_is_one_transaction(root_dir):
    made = Numbers(n=4)
    assert (made.rows.tolist(), made.total.tolist(), made.config) == (
        [0, 1, 2, 3, 1], [7], {"type": "Numbers", "n": 4, "scale": 1.0},
    )  # fmt: skip
    assert made["notes.txt"].read_text() == "by hand"
    assert Store(root_dir).version == 1
    assert Numbers(n=4) == Numbers({"n": 4}) == made
    assert type(Directory(made.path)) is Numbers
    assert count(root_dir) == 1
    assert Numbers().rows.tolist() == [0, 1, 2, 1]
    assert Numbers("named", n=5).path == root_dir / "named"
    assert count(root_dir) == 3
    tracker = ProcessingTracker(root_dir / ".axds" / "builds.yaml")
    assert {state.status.name for state in tracker.snapshot().values()} == {"SUCCEEDED"}
    assert list((root_dir / ".axds" / "builds").iterdir()) == []
    assert Store(root_dir).verify() == []


def test_an_exception_leaves_nothing_of_the_directory_and_says_so(root_dir):
    for _ in range(2):
        with pytest.raises(OSError, match="no camera") as caught:
            Failing("a", code=5)
        assert caught.value.__notes__ == [f"{root_dir / 'a'} was not built: nothing of it is kept"]
        assert Store(root_dir).list() == []
        assert not (root_dir / "a").exists()
        assert Directory("a").status == "stopped"
    (job,) = ProcessingTracker(root_dir / ".axds" / "builds.yaml").snapshot().values()
    assert "no camera" in job.error_message
    assert list((root_dir / ".axds" / "builds").iterdir()) == []


class Slow(Directory):
    def __init__(self, config):
        with (get_root_dir().parent / "built").open("a") as file:
            file.write(f"{os.getpid()}\n")
        self.extend("rows", np.arange(4))
        time.sleep(config.seconds)


PROGRAM = """
import sys, time
import numpy as np
from ataraxis_data_structures.store.directory import Directory, get_root_dir, set_root_dir
import os
set_root_dir(sys.argv[1])

class Slow(Directory):
    def __init__(self, config):
        with (get_root_dir().parent / "built").open("a") as file:
            file.write(f"{os.getpid()}\\n")
        self.extend("rows", np.arange(4))
        time.sleep(float(sys.argv[2]))

start = time.perf_counter()
made = Slow({"seconds": 0.3})
print(made.rows.sum(), made.path.name, time.perf_counter() - start, flush=True)
"""


def started(root_dir, seconds):
    command = [sys.executable, "-c", PROGRAM, str(root_dir), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_eight_racers_build_once_and_all_use_it(root_dir):
    racers = [started(root_dir, 0.3) for _ in range(8)]
    found = {tuple(racer.communicate(timeout=60)[0].split()[:2]) for racer in racers}
    assert len(found) == 1
    assert next(iter(found))[0] == "6"
    assert count(root_dir) == 1
    assert Store(root_dir).version == 1


@pytest.mark.fault
def test_after_a_builder_was_killed_the_next_caller_builds_within_a_second(root_dir, rounds):
    longest = 0.0
    total = rounds(100, 3)
    for round_ in range(total):
        shutil.rmtree(root_dir, ignore_errors=True)
        (root_dir.parent / "built").unlink(missing_ok=True)
        victim = started(root_dir, 60)
        while not count(root_dir):
            assert victim.poll() is None
            time.sleep(0.005)
        time.sleep(0.002 * (round_ % 10))
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        (made,) = [path for path in (root_dir / ".axds" / "builds").iterdir() if path.suffix == ".lock"]
        assert made.exists()
        start = time.perf_counter()
        again = Slow({"seconds": 0.3})
        longest = max(longest, time.perf_counter() - start - 0.3)
        assert again.rows.sum() == 6
        assert count(root_dir) == 2
        assert longest < LIMIT_S
        assert Store(root_dir).verify() == []
    print(f"{total} builders killed; the next caller had its directory after {longest * 1e3:.0f} ms at most")


@pytest.mark.fault
@pytest.mark.parametrize("what", ["build", "extend", "config"])
def test_killed_at_any_step_it_is_as_before_or_done(what, root_dir, tmp_path):
    def prepare():
        shutil.rmtree(root_dir, ignore_errors=True)
        made = Directory("before", {"n": 1})
        made.extend("x", np.arange(3.0))

    def program():
        if what == "build":
            Numbers("made", n=2)
        elif what == "extend":
            Directory("before").extend("x", [3.0])
        else:
            Directory("before").config = {"n": 2}

    def state():
        made, before = Directory("made"), Directory("before")
        rows = made.rows.tolist() if "rows" in made else None
        return rows, made.config, before.x.tolist(), before.config

    def now():
        set_root_dir(root_dir)
        return state()

    prepare()
    before = now()
    steps = len(trace(program))
    after = now()
    for n in chosen(steps, short=300 if FULL else 16):
        prepare()
        run = kill_at(program, n)
        found = now()
        assert found in (before, after), str(run.hit)
        assert Store(root_dir).verify() == [], str(run.hit)
        if what == "build":
            assert Numbers("made", n=2).rows.tolist() == [0, 1, 1], str(run.hit)
            assert now() == after
            Numbers("other", n=1)
            assert [path for path in (root_dir / ".axds" / "builds").iterdir() if path.is_dir()] == []
        assert Store(root_dir).verify() == [], str(run.hit)


# ---- builds by functions


def test_a_function_builds_items_once_for_each_set_of_arguments(tmp_path):
    store, calls = Store(tmp_path), []

    @store.build
    def weights(out, n=2, *, scale=1.0):
        calls.append(n)
        out.extend("rows", np.arange(float(n)))
        out.add("sum", float(out["rows"].sum()) * scale)
        (out.path / "notes.txt").write_text("by hand")

    built = weights(3, scale=2.0)
    assert (built["rows"].tolist(), built["sum"]) == ([0, 1, 2], 6.0)
    assert built.open("rows")[1] == 1
    assert list(built) == ["notes.txt", "rows", "sum"]
    assert (built.config["n"], len(built), store.version) == (3, 3, 1)
    assert weights(n=3, scale=2.0).name == built.name != weights().name
    assert calls == [3, 2]
    assert yaml.safe_load((built.path / "_meta.yaml").read_text())["config"]["scale"] == 2.0
    assert store.verify() == []


def test_a_function_that_raises_builds_nothing_and_says_so(tmp_path):
    store = Store(tmp_path)

    @store.build
    def failing(out):
        out.add("x", 1)
        raise OSError("no camera")

    with pytest.raises(OSError, match="no camera") as caught:
        failing()
    assert "nothing of it is kept" in caught.value.__notes__[0]
    assert store.list() == []
    (job,) = ProcessingTracker(tmp_path / ".axds" / "builds.yaml").snapshot().values()
    assert job.status.name == "FAILED"


def test_a_directory_whose_root_was_removed_is_made_anew(root_dir):
    Directory("a").extend("x", [1])
    shutil.rmtree(root_dir)
    exp = Directory("a")
    assert exp.keys() == []
    exp.extend("x", [2])
    assert exp.x.tolist() == [2]


def test_a_file_in_the_place_of_a_directory_is_an_error(root_dir):
    root_dir.mkdir()
    (root_dir / "a").write_text("a")
    with pytest.raises(FileExistsError, match="got a file"):
        Directory("a")


def test_an_array_without_hdf5_says_which_extra_to_install(monkeypatch, root_dir):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"ataraxis-data-structures\[hdf5\]"):
        Directory("a").x = np.zeros(3)
    assert Directory("a").keys() == []
    assert Path(root_dir / ".axds" / "ledger").read_bytes() == b""
