"""Libraries that a kind needs and the package does not: imported where they are used."""

import sys
from importlib import import_module
from typing import Any


def library(name: str, extra: str) -> Any:
    """Import a library.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"expected {name} to be installed: pip install 'ataraxis-data-structures[{extra}]' ({error})", name=name
        ) from error


def loaded(name: str) -> Any:
    """Return a library that this program has imported; None if it has not, so no value is one of its types."""
    return sys.modules.get(name)
