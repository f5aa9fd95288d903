"""Pages of mapped files, which count as this process's memory once they were looked at."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from .._core.bulk import MappedFile

WINDOW_BYTES = 64 * 2**20
"""How much of mapped files is looked at before it is forgotten."""


def forget_pages(buffers: Iterable[Any]) -> None:
    """Take the pages of mapped files out of this process's memory; they stay in the page cache."""
    for buffer in buffers:
        mapped = buffer.base if isinstance(buffer, np.ndarray) else getattr(buffer, "obj", None)
        if isinstance(mapped, MappedFile):
            mapped.forget()
