"""Checkpoints are whole or absent, ranked by an explicit direction, and listed without opening one."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import DamagedError
from ataraxis_data_structures.datasets import (
    best_checkpoint,
    list_checkpoints,
    load_checkpoint,
    load_models,
    save_checkpoint,
    save_models,
)
from ataraxis_data_structures.store.store import Store
from helpers.crash import chosen, count_steps, kill_at


class Model:
    """What every framework gives: a state of arrays, and a way to take one."""

    def __init__(self, seed=0):
        random = np.random.default_rng(seed)
        self.state = {"weight": random.random((2, 3)), "bias": random.random(3).astype(np.float32)}

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = dict(state)


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def test_a_state_comes_back_and_into_a_model(tmp_path):
    path = tmp_path / "run/checkpoints/model_best.pt"
    assert save_checkpoint(Model(1), {"loss": 0.25}, path=path) == path
    assert path.is_file()
    assert equal(load_checkpoint(path), Model(1).state)
    model = Model(2)
    assert load_checkpoint(str(path), model) is model
    assert equal(model.state, Model(1).state)


@pytest.mark.parametrize(
    "value", [{"w": np.arange(3.0)}, [1, 2, {"a": None}], np.arange(6).reshape(2, 3)], ids=range(3)
)
def test_what_a_store_takes_is_a_checkpoint_too(value, tmp_path):
    save_checkpoint(value, None, tmp_path / "a.bin")
    got = load_checkpoint(tmp_path / "a.bin")
    assert str(got) == str(value)
    assert list_checkpoints(tmp_path)[0].metrics == {}


def test_metrics_of_any_number_type_are_kept_as_numbers(tmp_path):
    metrics = {"a": np.float32(0.5), "b": np.int64(3), "c": float("nan"), "d": "text", "e": np.array(2.5), "f": True}
    save_checkpoint([1], metrics, tmp_path / "a.json")
    got = list_checkpoints(tmp_path)[0].metrics
    assert str(got) == str({"a": 0.5, "b": 3, "c": float("nan"), "d": "text", "e": 2.5, "f": True})
    assert [type(value) for value in got.values()] == [float, int, float, str, float, bool]


@pytest.fixture
def folder(tmp_path):
    for name, metrics in {
        "first": {"loss": 0.5, "accuracy": 0.7},
        "second": {"loss": 0.1, "accuracy": 0.6},
        "third": {"loss": 0.9, "accuracy": 0.9},
        "not_a_number": {"loss": float("nan"), "accuracy": float("nan")},
        "without": {"other": 1},
        "infinite": {"loss": float("inf"), "accuracy": 0.6},
    }.items():
        save_checkpoint([name], metrics, tmp_path / name)
    Store(tmp_path).add("no_checkpoint", [1])
    return tmp_path


@pytest.mark.parametrize(
    ("metric", "mode", "n_best", "want"),
    [
        (None, None, None, "first second third not_a_number without infinite"),
        ("loss", "min", None, "second first third infinite not_a_number without"),
        ("loss", "max", None, "infinite third first second not_a_number without"),
        ("loss", "min", 2, "second first"),
        ("accuracy", "max", 1, "third"),
        ("accuracy", "min", 2, "second infinite"),
        ("accuracy", "max", 99, "third first second infinite"),
        ("nothing", "max", 3, ""),
    ],
)
def test_the_direction_decides_what_is_best(folder, metric, mode, n_best, want):
    assert [checkpoint.name for checkpoint in list_checkpoints(folder, metric, mode, n_best)] == want.split()
    if n_best and want:
        best = best_checkpoint(folder, metric, mode)
        assert (best.name, best.path) == (want.split()[0], folder / want.split()[0])


def test_a_metric_needs_a_direction(folder):
    for words in [("loss",), ("loss", "best"), (None, "min"), (None, None, 3)]:
        with pytest.raises(ValueError, match="expected a metric with a mode"):
            list_checkpoints(folder, *words)
    with pytest.raises(LookupError, match="nothing"):
        best_checkpoint(folder, "nothing", "min")
    with pytest.raises(TypeError):
        best_checkpoint(folder, "loss")


def test_a_listing_opens_no_payload(folder):
    for path in [*folder.glob(".axds/payloads/*"), *(p for p in folder.iterdir() if p.is_file())]:
        path.unlink()
    assert best_checkpoint(folder, "loss", "min").name == "second"


def test_a_checkpoint_that_is_written_again_has_the_new_metrics_and_keeps_the_old_version(tmp_path):
    path = tmp_path / "best.pt"
    save_checkpoint(Model(1), {"loss": 0.5}, path)
    save_checkpoint(Model(2), {"loss": 0.4}, path)
    assert [checkpoint.metrics for checkpoint in list_checkpoints(tmp_path)] == [{"loss": 0.4}]
    assert equal(load_checkpoint(path), Model(2).state)
    assert equal(Store(tmp_path).get("best.pt@1"), Model(1).state)


def test_what_cannot_be_kept_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "best.pt"
    save_checkpoint(Model(1), {"loss": 0.5}, path)
    with pytest.raises(TypeError):
        save_checkpoint({"a": lambda: 1}, {"loss": 0.1}, path)
    with pytest.raises(TypeError):
        save_checkpoint(Model(2), {"loss": object()}, path)
    assert equal(load_checkpoint(path), Model(1).state)
    assert list_checkpoints(tmp_path)[0].metrics == {"loss": 0.5}


def test_a_missing_checkpoint_is_named_with_those_that_are_there(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"first, second.*got absent\.pt"):
        load_checkpoint(folder / "absent.pt")
    for ask in (load_checkpoint, list_checkpoints, load_models):
        with pytest.raises(FileNotFoundError):
            ask(tmp_path / "nowhere")


def test_a_changed_byte_is_damage(tmp_path):
    save_checkpoint(Model(1), {}, tmp_path / "a.pt")
    payload = next((tmp_path / ".axds/payloads").glob("a.pt@*"))
    payload.chmod(0o644)
    data = bytearray(payload.read_bytes())
    data[len(data) // 2] ^= 1
    payload.write_bytes(data)
    ledger = tmp_path / ".axds/ledger"
    if b'"data"' not in ledger.read_bytes():  # a small payload comes from its line
        with pytest.raises(DamagedError):
            load_checkpoint(tmp_path / "a.pt")


@pytest.mark.fault
def test_a_checkpoint_killed_at_any_step_is_the_old_one_or_the_new_one(tmp_path):
    folder = tmp_path / "run"
    path = folder / "best.pt"

    def prepare():
        subprocess.run(["rm", "-rf", folder], check=True)
        save_checkpoint(Model(1), {"loss": 1}, path)

    def program():
        save_checkpoint(Model(2), {"loss": 2}, path)

    prepare()
    for n in chosen(count_steps(program), short=15):
        prepare()
        assert kill_at(program, n).hit
        (found,) = list_checkpoints(folder)
        assert equal(load_checkpoint(path), Model(found.metrics["loss"]).state)
        program()
        assert equal(load_checkpoint(path), Model(2).state)


def test_models_are_one_archive_and_come_back_by_their_names(tmp_path):
    models = {"main": Model(1), "small model": {"w": np.arange(3.0)}, "ü": [1, 2]}
    path = save_models(tmp_path / "out", models)
    assert path == tmp_path / "out/wts.h5.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("models.json")).keys() == models.keys()
        assert not [name for name in archive.namelist() if "dill" in name]
    got = load_models(tmp_path / "out")
    assert equal(got["main"], Model(1).state)
    assert (got["small model"]["w"].tolist(), got["ü"]) == ([0.0, 1.0, 2.0], [1, 2])


def test_models_that_cannot_be_kept_leave_the_old_archive(tmp_path):
    save_models(tmp_path, {"a": [1]})
    with pytest.raises(TypeError):
        save_models(tmp_path, {"a": [2], "b": {"c": lambda: 1}})
    assert load_models(tmp_path) == {"a": [1]}


def test_damage_in_an_archive_of_models_is_told(tmp_path):
    save_models(tmp_path, {"a": np.arange(1000.0)})
    payload = next((tmp_path / ".axds/payloads").glob("wts*"))
    payload.chmod(0o644)
    with payload.open("r+b") as file:
        file.seek(500)
        file.write(b"damage")
    with pytest.raises(DamagedError):
        load_models(tmp_path)


def test_no_checkpoint_is_written_by_dill(tmp_path):
    code = (
        "import sys; from pathlib import Path; import numpy as np;"
        "from ataraxis_data_structures.datasets import save_checkpoint, save_models;"
        "folder = Path(); save_checkpoint([1], {}, folder / 'a'); save_models(folder, {'a': [1]});"
        "print([name for name in ('dill', 'pickle', 'torch') if name in sys.modules])"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "dill" not in got.stdout
    assert Path(tmp_path, "wts.h5.zip").is_file()
