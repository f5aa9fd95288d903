"""What a producer hands to the logger."""

from .._core.record import LogPackage

__all__ = ["LogPackage"]
