"""A function of the user, which puts what it likes until the loop of its source ends."""

import importlib
import inspect
from functools import partial
from typing import Any

from ...logs.logger.source import LogSource
from ..plan import SourcePlan
from .device import Device, Losses


def open_function(plan: SourcePlan) -> Device:
    """Import module:function; ImportError, AttributeError or TypeError if it can't be called with its options."""
    module_name, _, path = plan.target.partition(":")
    found: Any = importlib.import_module(module_name)
    for name in path.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"expected a function, got {type(found).__name__}")
    inspect.signature(found).bind(None, **plan.options)
    return Device(partial(_produce, found, plan.options))


def _produce(function: Any, options: dict[str, Any], source: LogSource, _: Losses) -> None:
    function(source, **options)
