"""Checkpoints and archives of models of PyTorch, Keras and scikit-learn: what comes back, and what never runs."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ataraxis_data_structures import DamagedError, UntrustedError
from ataraxis_data_structures.datasets import (
    best_checkpoint,
    list_checkpoints,
    load_checkpoint,
    load_models,
    save_checkpoint,
    save_models,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with NumPy 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(40, 20)
        self.norm = nn.BatchNorm1d(20)


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture(autouse=True)
def _own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module", autouse=True)
def _gradients():
    """Make what PyTorch keeps from its first gradient and optimizer on, before a test counts what it leaves."""
    model = Net()
    model.layer(torch.ones(1, 40)).sum().backward()
    torch.optim.Adam(model.parameters()).step()


@pytest.fixture(scope="module")
def keras():
    """Keras upon PyTorch, started before a test counts what it leaves."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = pytest.importorskip("keras")
    found.Sequential([found.layers.Input((2,)), found.layers.Dense(1)]).predict(np.zeros((1, 2)), verbose=0)
    return found


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_state_of_tensors_comes_back_as_tensors_and_into_a_module(tmp_path):
    model = Net()
    path = save_checkpoint(model, {"loss": torch.tensor(0.25), "epoch": 3}, tmp_path / "run" / "model.pt")
    assert same(torch.load(path, weights_only=True), model.state_dict())  # a plain file of PyTorch
    assert same(load_checkpoint(path), model.state_dict())
    other = Net()
    assert load_checkpoint(path, other) is other
    assert same(other.state_dict(), model.state_dict())
    assert list_checkpoints(path.parent)[0].metrics == {"loss": 0.25, "epoch": 3}


def test_a_state_with_an_optimizer_and_a_device_comes_back(tmp_path):
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    model.layer(torch.ones(1, 40)).sum().backward()
    optimizer.step()
    path = save_checkpoint(optimizer, {}, tmp_path / "optimizer.pt")
    other = torch.optim.Adam(Net().parameters())
    load_checkpoint(path, other)
    assert same(other.state_dict()["state"][0], optimizer.state_dict()["state"][0])


def test_the_best_is_found_without_reading_a_payload(tmp_path):
    for epoch, loss in enumerate((0.5, 0.1, 0.9)):
        save_checkpoint(Net(), {"loss": loss, "accuracy": 1 - loss}, tmp_path / f"epoch_{epoch}.pt")
    for payload in (tmp_path / ".axds" / "payloads").iterdir():
        payload.unlink()
    assert best_checkpoint(tmp_path, "loss", "min").name == "epoch_1.pt"
    assert best_checkpoint(tmp_path, "accuracy", "max").name == "epoch_1.pt"
    assert [one.name for one in list_checkpoints(tmp_path, "loss", mode="max", n_best=2)] == [
        "epoch_2.pt",
        "epoch_0.pt",
    ]


def test_a_checkpoint_of_an_attacker_runs_nothing(tmp_path):
    path = save_checkpoint(Net(), {}, tmp_path / "model.pt")
    attack = tmp_path / "attack"
    torch.save(Touch(tmp_path / "ran"), attack)
    payload = next((tmp_path / ".axds" / "payloads").glob("model.pt@*"))
    for file in (payload, path):
        file.unlink()
        file.write_bytes(attack.read_bytes())
    with pytest.raises(DamagedError):
        load_checkpoint(path)
    save_checkpoint(attack, {}, tmp_path / "other.pt")
    assert not (tmp_path / "ran").exists()


def test_models_of_several_libraries_are_one_archive(tmp_path, keras):
    linear = pytest.importorskip("sklearn.linear_model")
    network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    module, ridge = Net(), linear.Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    save_models(tmp_path / "run", {"keras": network, "torch": module, "ridge": ridge, "array": np.arange(3)})
    found = load_models(tmp_path / "run")
    assert sorted(found) == ["array", "keras", "ridge", "torch"]
    for got, want in zip(found["keras"].get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)
    assert same(found["torch"], module.state_dict())
    assert found["ridge"].predict([[3.0]]) == ridge.predict([[3.0]])


def test_a_keras_model_is_a_checkpoint_and_code_in_it_is_refused(tmp_path, keras):
    network = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    path = save_checkpoint(network, {"loss": 1}, tmp_path / "net.keras")
    for got, want in zip(load_checkpoint(path).get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)
    code = keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x * 2)])
    path = save_checkpoint(code, {}, tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"safe_mode|unsafe|Lambda"):
        load_checkpoint(path)


def test_a_pickled_model_of_another_user_is_refused_in_an_archive_too(tmp_path, monkeypatch):
    save_models(tmp_path / "run", {"attack": Touch(tmp_path / "ran")})
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))
    with pytest.raises(UntrustedError):
        load_models(tmp_path / "run")
    assert not (tmp_path / "ran").exists()
    load_models(tmp_path / "run", trust=True)
    assert (tmp_path / "ran").exists()


def test_reading_states_calls_no_unpickler_of_the_standard_library(tmp_path, monkeypatch):
    path = save_checkpoint(Net(), {}, tmp_path / "model.pt")
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    assert set(load_checkpoint(path)) == set(Net().state_dict())
