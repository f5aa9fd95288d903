from typing import Any, Final

import numpy as np

LEFT_LARGE: Final[int]
LEFT_EXISTS: Final[int]
LEFT_CHANGED: Final[int]
LEFT_CLOSED: Final[int]
LOST_TIME: Final[int]
LOST_ATTRIBUTES: Final[int]
ROW: Final[int]

def load_files(
    folder: int,
    names: list[bytes],
    room: np.ndarray[Any, np.dtype[np.uint8]],
    rows: np.ndarray[Any, np.dtype[np.int64]],
    limit: int,
    target: int = -1,
) -> int: ...
def copy_metadata(source: int, target: int, accessed_ns: int) -> int: ...
def same_attributes(first: int, second: int) -> bool: ...
def unlink_files(folder: int, names: list[bytes]) -> None: ...
