from typing import Any, Final

import numpy as np

LEFT_LARGE: Final[int]
LEFT_EXISTS: Final[int]
LEFT_CHANGED: Final[int]

def load_files(
    folder: int,
    names: list[bytes],
    room: np.ndarray[Any, np.dtype[np.uint8]],
    rows: np.ndarray[Any, np.dtype[np.int64]],
    limit: int,
    target: int = -1,
) -> int: ...
def stamp(fd: int, mode: int, mtime_ns: int) -> None: ...
def unlink_files(folder: int, names: list[bytes]) -> None: ...
