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
    from .config.plain import YAML_EXCLUDE_METADATA as YAML_EXCLUDE_METADATA
    from .config.yaml_config import YamlConfig as YamlConfig
    from .errors import ArchiveError as ArchiveError
    from .errors import ConfigError as ConfigError
    from .errors import MissingValueError as MissingValueError
    from .errors import SegmentError as SegmentError
    from .errors import TornArrayError as TornArrayError
    from .errors import TornArrayWarning as TornArrayWarning
    from .errors import TrackerError as TrackerError
    from .jobs.attempts import Attempt as Attempt
    from .jobs.state import JobState as JobState
    from .jobs.state import ProcessingStatus as ProcessingStatus
    from .jobs.state import TrackerStatus as TrackerStatus
    from .jobs.tracker import ProcessingTracker as ProcessingTracker
    from .jobs.workers import initialize_worker_threads as initialize_worker_threads
    from .jobs.workers import limit_worker_threads as limit_worker_threads
    from .logs.record import LogPackage as LogPackage
    from .memory.array import SharedMemoryArray as SharedMemoryArray

__all__ = [
    "YAML_EXCLUDE_METADATA",
    "ArchiveError",
    "Attempt",
    "ConfigError",
    "JobState",
    "LogPackage",
    "MissingValueError",
    "ProcessingStatus",
    "ProcessingTracker",
    "SegmentError",
    "SharedMemoryArray",
    "TornArrayError",
    "TornArrayWarning",
    "TrackerError",
    "TrackerStatus",
    "YamlConfig",
    "initialize_worker_threads",
    "limit_worker_threads",
]

_HOMES = {
    "YAML_EXCLUDE_METADATA": "config.plain",
    "ArchiveError": "errors",
    "Attempt": "jobs.attempts",
    "ConfigError": "errors",
    "JobState": "jobs.state",
    "LogPackage": "logs.record",
    "MissingValueError": "errors",
    "ProcessingStatus": "jobs.state",
    "ProcessingTracker": "jobs.tracker",
    "SegmentError": "errors",
    "SharedMemoryArray": "memory.array",
    "TornArrayError": "errors",
    "TornArrayWarning": "errors",
    "TrackerError": "errors",
    "TrackerStatus": "jobs.state",
    "YamlConfig": "config.yaml_config",
    "initialize_worker_threads": "jobs.workers",
    "limit_worker_threads": "jobs.workers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
