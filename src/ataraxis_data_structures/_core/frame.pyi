from typing import Final, final

from typing_extensions import Buffer

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
