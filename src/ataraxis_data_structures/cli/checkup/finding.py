"""What an examination says."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `passed` is None for a measurement that nothing is asked of."""

    name: str
    said: str
    passed: bool | None = None
    advice: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """How it begins in a list."""
        return {True: "ok", False: "BAD", None: "--"}[self.passed]
