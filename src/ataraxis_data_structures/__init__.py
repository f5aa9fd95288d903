"""Shared arrays and crash-proof, high-rate logging for the processes of an acquisition rig."""

# The house, from the roof down; a room imports only from the floors beneath it.
#
#   cli/                                 the commands of `axds`
#   logs/    jobs/                       what the rig recorded | who is working on it
#   memory/  files/  config  series      shared arrays and queues | folders | YAML | interpolation
#   _core/   errors                      compiled ground: buffers, words, clocks | names of failures
#
# Names are found on first use, so that importing the package costs no more than what a program touches.

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import ArchiveError as ArchiveError
    from .errors import SegmentError as SegmentError
    from .errors import TornArrayError as TornArrayError
    from .errors import TornArrayWarning as TornArrayWarning
    from .logs.logger import DataLogger as DataLogger
    from .logs.record import LogPackage as LogPackage
    from .logs.recover import recover_log_directory as recover_log_directory
    from .logs.statistics import logger_statistics as logger_statistics
    from .memory.array import SharedMemoryArray as SharedMemoryArray

__all__ = [
    "ArchiveError",
    "DataLogger",
    "LogPackage",
    "SegmentError",
    "SharedMemoryArray",
    "TornArrayError",
    "TornArrayWarning",
    "logger_statistics",
    "recover_log_directory",
]

_HOMES = {
    "ArchiveError": "errors",
    "DataLogger": "logs.logger",
    "LogPackage": "logs.record",
    "SegmentError": "errors",
    "SharedMemoryArray": "memory.array",
    "TornArrayError": "errors",
    "TornArrayWarning": "errors",
    "logger_statistics": "logs.statistics",
    "recover_log_directory": "logs.recover",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
