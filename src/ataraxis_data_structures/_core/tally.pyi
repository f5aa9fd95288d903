from typing import final

from typing_extensions import Buffer

@final
class Tally:
    claims: dict[int, int]
    def add(self, span: Buffer, words: Buffer | None = None) -> int: ...
    def sources(self) -> list[tuple[int, int, int, int]]: ...
