"""Data sets: what they must hold, where they come from, and what is made of them."""

# contract headers known conversion   what a data set must hold, by headers alone
# product                             Ptychodus product files
# http download credentials           files from the network, whole or not at all
# registry                            data sets by name, kept in a store
# checkpoints                         models with their metrics, kept in a store
# parallel                            items and archives for Dask
# guard/                              data files stay out of git
#
# Names are found on first use: the hook of the guard needs neither NumPy nor a store.

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..store.remote.arrays import open_remote as open_remote
    from .checkpoints import Checkpoint as Checkpoint
    from .checkpoints import best_checkpoint as best_checkpoint
    from .checkpoints import list_checkpoints as list_checkpoints
    from .checkpoints import load_checkpoint as load_checkpoint
    from .checkpoints import load_models as load_models
    from .checkpoints import save_checkpoint as save_checkpoint
    from .checkpoints import save_models as save_models
    from .contract import Contract as Contract
    from .contract import Field as Field
    from .contract import Problem as Problem
    from .contract import Report as Report
    from .conversion import convert as convert
    from .known import check as check
    from .known import find_contract as find_contract
    from .parallel import to_dask as to_dask
    from .parallel import to_delayed as to_delayed
    from .registry import download_dataset as download_dataset
    from .registry import export_dvc as export_dvc
    from .registry import fetch_dataset as fetch_dataset
    from .registry import layout as layout
    from .registry import register_dataset as register_dataset

_PUBLIC = {
    "checkpoints": (
        "Checkpoint best_checkpoint list_checkpoints load_checkpoint load_models save_checkpoint save_models"
    ),
    "contract": "Contract Field Problem Report",
    "conversion": "convert",
    "known": "check find_contract",
    "parallel": "to_dask to_delayed",
    "registry": "download_dataset export_dvc fetch_dataset layout register_dataset",
}
_HOMES = {"open_remote": "..store.remote.arrays"} | {
    name: f".{module}" for module, names in _PUBLIC.items() for name in names.split()
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 a list, made from the table


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
