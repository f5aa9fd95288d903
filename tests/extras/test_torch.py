"""PyTorch modules: states of tensors, in PyTorch's own format and as safetensors, and pickles of another user."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ataraxis_data_structures import DamagedError, DataFolio, StoreError, UntrustedError


class Net(nn.Module):
    def __init__(self, inner=4):
        super().__init__()
        self.first = nn.Linear(3, inner)
        self.norm = nn.BatchNorm1d(inner)

    def forward(self, x):
        return self.norm(self.first(x))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = self.a


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture
def folio(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return DataFolio(tmp_path / "exp")


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("form", [None, "pth", "safetensors"])
def test_a_state_comes_back_and_no_pickle_is_read(folio, form, monkeypatch):
    if form == "safetensors":
        pytest.importorskip("safetensors")
    model = Net(inner=5)
    folio.add_pytorch("net", model, init_args={"inner": 5}, format=form)
    monkeypatch.setattr(pickle, "loads", None)
    assert same(folio.get_pytorch("net"), model)
    assert same(folio.get_pytorch("net", model_class=Net), model)
    assert set(folio.get_pytorch("net", reconstruct=False)) == set(model.state_dict())
    assert folio.data.net.type == "pytorch_model"
    assert folio.data.net.path.endswith(f"pytorch_models/net.{form or 'pth'}")


def test_tensors_that_share_memory_are_refused_by_safetensors_and_kept_by_the_default(folio):
    pytest.importorskip("safetensors")
    with pytest.raises(TypeError, match="separate tensors"):
        folio.add_model("net", Tied(), format="safetensors")
    assert "net" not in folio
    model = Tied()
    assert same(folio.add_model("net", model).get_model("net"), model)


@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_bytes_that_are_no_state_are_damage_and_run_nothing(folio, tmp_path, form):
    if form == "safetensors":
        pytest.importorskip("safetensors")
    folio.add_model("net", Net(inner=400), format=form)  # more than its line carries
    attack = tmp_path / "attack"
    torch.save(Touch(tmp_path / "ran"), attack)
    payload = next((folio.path / ".axds/payloads").rglob("net@*"))
    payload.chmod(0o644)
    payload.write_bytes(attack.read_bytes().ljust(payload.stat().st_size, b"\0"))
    with pytest.raises(DamagedError):
        folio.get_model("net")
    assert not (tmp_path / "ran").exists()


def test_a_whole_module_is_a_pickle_that_other_users_do_not_read(folio, tmp_path, monkeypatch):
    folio.add_pytorch("net", Net(), save_class=True)
    assert isinstance(folio.get_pytorch("net"), Net)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))
    with pytest.raises(UntrustedError):
        folio.get_pytorch("net")
    assert isinstance(folio.get_pytorch("net", trust=True), Net)


def test_a_class_that_the_program_lacks_is_named(folio, monkeypatch):
    folio.add_pytorch("net", Net())
    monkeypatch.delattr(f"{__name__}.Net")
    with pytest.raises(StoreError, match="Net to be imported"):
        folio.get_pytorch("net")
    assert np.shape(folio.get_pytorch("net", reconstruct=False)["first.weight"]) == (4, 3)
