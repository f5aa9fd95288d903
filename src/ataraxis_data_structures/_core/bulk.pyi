from typing import Any, Final, Self, final

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
def syncfs(fd: int) -> None: ...
def write_back(fd: int, start: int, size: int) -> None: ...

@final
class MappedFile:
    def __new__(cls, fd: int, size: int, *, writable: bool = False) -> Self: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def forget(self) -> None: ...

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
