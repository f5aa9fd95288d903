"""What every device has in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...logs.logger.source import LogSource


@dataclass
class Losses:
    """What came from a device and is in no message."""

    skipped: int = 0
    """Datagrams, lines or bytes that are no message of the source."""
    dropped: int = 0
    """Messages that the system dropped before they could be read."""
    why: str = ""
    """Why the first one was skipped."""

    def skip(self, count: int, why: str) -> None:
        """Count what was skipped."""
        self.skipped += count
        self.why = self.why or why


@dataclass
class Device:
    """A device that is open: its messages are put until the loop of the source ends."""

    produce: Callable[[LogSource, Losses], None]
    close: Callable[[], object] = lambda: None
    flush: Callable[[], object] = lambda: None
    """Drops what came before the recording began, whose time nobody knows."""
    described: dict[str, Any] = field(default_factory=dict)
    """dtype, shape, rate_hz and unit, where the device knows them."""
