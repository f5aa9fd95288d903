from typing import Any

import numpy as np

def is_ascending(x: np.ndarray[Any, Any]) -> bool: ...
def last_at_or_before(
    x: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], found: np.ndarray[Any, np.dtype[np.int64]]
) -> None: ...
def linear(
    x: np.ndarray[Any, Any],
    values: np.ndarray[Any, np.dtype[np.float64]],
    targets: np.ndarray[Any, Any],
    out: np.ndarray[Any, np.dtype[np.float64]],
) -> None: ...
