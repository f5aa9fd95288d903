"""Data sets: what they must hold, where they come from, and what is made of them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import Contract as Contract
    from .contract import Field as Field
    from .contract import Problem as Problem
    from .contract import Report as Report
    from .conversion import convert as convert
    from .known import check as check
    from .known import find_contract as find_contract

_HOMES = {
    "Contract": "contract",
    "Field": "contract",
    "Problem": "contract",
    "Report": "contract",
    "check": "known",
    "convert": "conversion",
    "find_contract": "known",
}

__all__ = ["Contract", "Field", "Problem", "Report", "check", "convert", "find_contract"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
