"""Shared arrays and crash-proof, high-rate logging for the processes of an acquisition rig."""

# The house, from the roof down; a room imports only from the floors beneath it.
#
#   cli/                                 the commands of `axds`
#   logs/    jobs/                       what the rig recorded | who is working on it
#   memory/  files/  config  series      shared arrays and queues | folders | YAML | interpolation
#   system/                              processes, locks, whole files, platform
#   _core/   errors                      compiled ground: buffers, words, clocks | names of failures
#
# Names are found on first use, so that importing the package costs no more than what a program touches.

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core.record import LogPackage as LogPackage
    from .config.plain import YAML_EXCLUDE_METADATA as YAML_EXCLUDE_METADATA
    from .config.yaml_config import YamlConfig as YamlConfig
    from .errors import ArchiveError as ArchiveError
    from .errors import BatchError as BatchError
    from .errors import ConfigError as ConfigError
    from .errors import IntegrityError as IntegrityError
    from .errors import MissingValueError as MissingValueError
    from .errors import SegmentError as SegmentError
    from .errors import TornArrayError as TornArrayError
    from .errors import TornArrayWarning as TornArrayWarning
    from .errors import TrackerError as TrackerError
    from .files.checksum import DirectoryDifference as DirectoryDifference
    from .files.checksum import calculate_directory_checksum as calculate_directory_checksum
    from .files.checksum import calculate_directory_manifest as calculate_directory_manifest
    from .files.checksum import compare_directories as compare_directories
    from .files.checksum import verify_directory_checksum as verify_directory_checksum
    from .files.delete import delete_directory as delete_directory
    from .files.markers import discover_marker_files as discover_marker_files
    from .files.markers import discover_marker_roots as discover_marker_roots
    from .files.markers import index_marker_files as index_marker_files
    from .files.markers import resolve_unique_roots as resolve_unique_roots
    from .files.transfer import transfer_directory as transfer_directory
    from .jobs.attempts import Attempt as Attempt
    from .jobs.state import JobState as JobState
    from .jobs.state import ProcessingStatus as ProcessingStatus
    from .jobs.state import TrackerStatus as TrackerStatus
    from .jobs.tracker import ProcessingTracker as ProcessingTracker
    from .jobs.workers import initialize_worker_threads as initialize_worker_threads
    from .jobs.workers import limit_worker_threads as limit_worker_threads
    from .logs.archive.assemble import assemble_log_archives as assemble_log_archives
    from .logs.archive.batches import map_archive as map_archive
    from .logs.archive.batches import merge_archives as merge_archives
    from .logs.archive.discovery import LOG_ARCHIVE_SUFFIX as LOG_ARCHIVE_SUFFIX
    from .logs.archive.discovery import LOG_DIRECTORY_SUFFIX as LOG_DIRECTORY_SUFFIX
    from .logs.archive.discovery import discover_log_archives as discover_log_archives
    from .logs.archive.discovery import find_log_archive as find_log_archive
    from .logs.archive.discovery import find_log_archives as find_log_archives
    from .logs.archive.discovery import read_archive_message_count as read_archive_message_count
    from .logs.archive.export import export_archive as export_archive
    from .logs.archive.reader import PARALLEL_PROCESSING_THRESHOLD as PARALLEL_PROCESSING_THRESHOLD
    from .logs.archive.reader import LogArchiveReader as LogArchiveReader
    from .logs.archive.reader import LogMessage as LogMessage
    from .logs.archive.verify import EntryFault as EntryFault
    from .logs.journal.follow import LoggedMessage as LoggedMessage
    from .logs.journal.follow import follow as follow
    from .logs.logger.logger import DataLogger as DataLogger
    from .logs.logger.statistics import logger_statistics as logger_statistics
    from .logs.recovery.recover import recover_log_directory as recover_log_directory
    from .memory.array import SharedMemoryArray as SharedMemoryArray
    from .series import interpolate_data as interpolate_data
    from .system.atomic import atomic_write as atomic_write
    from .system.atomic import direct_write as direct_write

__all__ = [
    "LOG_ARCHIVE_SUFFIX",
    "LOG_DIRECTORY_SUFFIX",
    "PARALLEL_PROCESSING_THRESHOLD",
    "YAML_EXCLUDE_METADATA",
    "ArchiveError",
    "Attempt",
    "BatchError",
    "ConfigError",
    "DataLogger",
    "DirectoryDifference",
    "EntryFault",
    "IntegrityError",
    "JobState",
    "LogArchiveReader",
    "LogMessage",
    "LogPackage",
    "LoggedMessage",
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
    "assemble_log_archives",
    "atomic_write",
    "calculate_directory_checksum",
    "calculate_directory_manifest",
    "compare_directories",
    "delete_directory",
    "direct_write",
    "discover_log_archives",
    "discover_marker_files",
    "discover_marker_roots",
    "export_archive",
    "find_log_archive",
    "find_log_archives",
    "follow",
    "index_marker_files",
    "initialize_worker_threads",
    "interpolate_data",
    "limit_worker_threads",
    "logger_statistics",
    "map_archive",
    "merge_archives",
    "read_archive_message_count",
    "recover_log_directory",
    "resolve_unique_roots",
    "transfer_directory",
    "verify_directory_checksum",
]

_HOMES = {
    "ArchiveError": "errors",
    "Attempt": "jobs.attempts",
    "BatchError": "errors",
    "ConfigError": "errors",
    "DataLogger": "logs.logger.logger",
    "DirectoryDifference": "files.checksum",
    "EntryFault": "logs.archive.verify",
    "IntegrityError": "errors",
    "JobState": "jobs.state",
    "LOG_ARCHIVE_SUFFIX": "logs.archive.discovery",
    "LOG_DIRECTORY_SUFFIX": "logs.archive.discovery",
    "LogArchiveReader": "logs.archive.reader",
    "LogMessage": "logs.archive.reader",
    "LogPackage": "_core.record",
    "LoggedMessage": "logs.journal.follow",
    "MissingValueError": "errors",
    "PARALLEL_PROCESSING_THRESHOLD": "logs.archive.reader",
    "ProcessingStatus": "jobs.state",
    "ProcessingTracker": "jobs.tracker",
    "SegmentError": "errors",
    "SharedMemoryArray": "memory.array",
    "TornArrayError": "errors",
    "TornArrayWarning": "errors",
    "TrackerError": "errors",
    "TrackerStatus": "jobs.state",
    "YAML_EXCLUDE_METADATA": "config.plain",
    "YamlConfig": "config.yaml_config",
    "assemble_log_archives": "logs.archive.assemble",
    "atomic_write": "system.atomic",
    "calculate_directory_checksum": "files.checksum",
    "calculate_directory_manifest": "files.checksum",
    "compare_directories": "files.checksum",
    "delete_directory": "files.delete",
    "direct_write": "system.atomic",
    "discover_log_archives": "logs.archive.discovery",
    "discover_marker_files": "files.markers",
    "discover_marker_roots": "files.markers",
    "export_archive": "logs.archive.export",
    "find_log_archive": "logs.archive.discovery",
    "find_log_archives": "logs.archive.discovery",
    "follow": "logs.journal.follow",
    "index_marker_files": "files.markers",
    "initialize_worker_threads": "jobs.workers",
    "interpolate_data": "series",
    "limit_worker_threads": "jobs.workers",
    "logger_statistics": "logs.logger.statistics",
    "map_archive": "logs.archive.batches",
    "merge_archives": "logs.archive.batches",
    "read_archive_message_count": "logs.archive.discovery",
    "recover_log_directory": "logs.recovery.recover",
    "resolve_unique_roots": "files.markers",
    "transfer_directory": "files.transfer",
    "verify_directory_checksum": "files.checksum",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
