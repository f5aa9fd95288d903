import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Final, Self, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer, disjoint_base

RECORD_BYTES: Final = 32
PAD: Final = 1
MESSAGE: Final = 6
GAP: Final = 8
CHECKPOINT: Final = 16
FOOTER: Final = 32
EXTERNAL: Final = 64
ROW: list[tuple[str, str]]
ROW_FORMAT: Final = "<3Q2I2B6x"

def span(length: int) -> int: ...
def pack(
    salt: int,
    payload: Buffer,
    *,
    source: int = 0,
    time: int = 0,
    seq: int = 0,
    claim: int = 0,
    flags: int = 6,
) -> bytes: ...

@final
class Scanner:
    damaged: list[tuple[int, int]]
    def __init__(self, buffer: Buffer, salt: int, *, start: int = 0, stop: int | None = None) -> None: ...
    @property
    def position(self) -> int: ...
    def next(self, max_rows: int) -> bytes: ...

def crc32(data: Buffer, seed: int = 0) -> int: ...
def crc32c_joined(first: int, second: int, size: int) -> int: ...
def crc32c(data: Buffer, seed: int = 0) -> int: ...

@final
class Tally:
    claims: dict[int, int]
    def add(self, span: Buffer, words: Buffer | None = None) -> int: ...
    def sources(self) -> list[tuple[int, int, int, int]]: ...

@disjoint_base
class LogPackage:
    __match_args__ = ("source_id", "acquisition_time", "serialized_data")
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    __dataclass_params__: ClassVar[Any]
    def __init__(
        self,
        source_id: np.uint8 | int,
        acquisition_time: np.uint64 | int,
        serialized_data: NDArray[np.unsignedinteger[Any]] | NDArray[np.bool_],
    ) -> None: ...
    @property
    def source_id(self) -> np.uint8 | int: ...
    @property
    def acquisition_time(self) -> np.uint64 | int: ...
    @property
    def serialized_data(self) -> NDArray[np.unsignedinteger[Any]] | NDArray[np.bool_]: ...
    @property
    def data(self) -> tuple[str, NDArray[np.uint8]]: ...
    def __setattr__(self, name: str, value: object, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Callable[..., Self], tuple[Any, Any, Any]]: ...
