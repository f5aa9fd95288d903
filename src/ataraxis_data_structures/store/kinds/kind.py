"""What every kind of item answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

About = dict[str, Any]


class PayloadFile(Protocol):
    """A payload while it is written; its bytes are hashed as they come."""

    def write(self, data: Any, /) -> int:
        """Take bytes, or anything that has a contiguous buffer."""


class Payload(Protocol):
    """A payload while it is read."""

    size_bytes: int
    hash: str
    uuid: str  # of the store
    is_trusted: bool  # the caller takes a pickle from anybody
    uri: str | None

    @property
    def path(self) -> Path:
        """Return the file that holds the bytes; it may hold more than this version has."""

    @property
    def view(self) -> Path | None:
        """Return the plain file; None if it is another version's, or was changed."""

    def data(self) -> memoryview:
        """Return all bytes, checked against their hash, in memory of the caller's own.

        Raises:
            DamagedError: They are not what was committed.
        """

    def check(self) -> None:
        """Check the bytes without keeping them."""


@dataclass(frozen=True)
class Kind:
    """How a kind of values becomes a payload and comes back.

    `write` returns what the ledger keeps beside the bytes, enough to describe them without opening the payload; `read`
    gives the whole value from checked bytes; `open` maps it where it can, and checks nothing.
    """

    name: str
    extension: Callable[[Any], str]
    accepts: Callable[[Any], bool]
    write: Callable[[Any, PayloadFile], About]
    read: Callable[[Payload, About], Any]
    open: Callable[[Payload, About], Any]
    format: str = ""  # what `add(format=)` calls it; for reading, the extension with its dot decides
    is_default: bool = True  # taken for a value that it accepts without `format=`
    is_carried: bool = True  # small payloads are kept in the ledger too
    about: Callable[[Path], About] | None = None  # of a file that no line describes: for `repair` and `adopt`
    seal: Callable[[About, str, str], About] | None = None  # about, payload hash, store uuid: the final about
