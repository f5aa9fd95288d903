# Written by stubs/package_stub.py from the table in __init__.py.

from ._core.frame import LogPackage as LogPackage
from .config.encode import YAML_EXCLUDE_METADATA as YAML_EXCLUDE_METADATA
from .config.yaml_config import YamlConfig as YamlConfig
from .errors import ArchiveError as ArchiveError
from .errors import BatchError as BatchError
from .errors import ConfigError as ConfigError
from .errors import ConflictError as ConflictError
from .errors import ContractError as ContractError
from .errors import CopiedLogError as CopiedLogError
from .errors import DamagedError as DamagedError
from .errors import DigestError as DigestError
from .errors import DownloadError as DownloadError
from .errors import IntegrityError as IntegrityError
from .errors import LaneFullError as LaneFullError
from .errors import MissingValueError as MissingValueError
from .errors import QueueBusyError as QueueBusyError
from .errors import QueueClosedError as QueueClosedError
from .errors import SegmentError as SegmentError
from .errors import StoreError as StoreError
from .errors import TornArrayError as TornArrayError
from .errors import TornArrayWarning as TornArrayWarning
from .errors import TrackerError as TrackerError
from .errors import UntrustedError as UntrustedError
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
from .logs.archive.batches import map_archive as map_archive
from .logs.archive.batches import merge_archives as merge_archives
from .logs.archive.discovery import discover_log_archives as discover_log_archives
from .logs.archive.discovery import find_log_archive as find_log_archive
from .logs.archive.discovery import find_log_archives as find_log_archives
from .logs.archive.discovery import read_archive_message_count as read_archive_message_count
from .logs.archive.reader import LogArchiveReader as LogArchiveReader
from .logs.archive.reader import LogMessage as LogMessage
from .logs.archive.reader import PARALLEL_PROCESSING_THRESHOLD as PARALLEL_PROCESSING_THRESHOLD
from .logs.archive.recording import RecordedSession as RecordedSession
from .logs.archive.recording import open_session as open_session
from .logs.archive.verify import EntryFault as EntryFault
from .logs.assembly.assemble import assemble_log_archives as assemble_log_archives
from .logs.descriptions import SourceDescription as SourceDescription
from .logs.export.export import export_archive as export_archive
from .logs.journal.follow import LoggedMessage as LoggedMessage
from .logs.journal.follow import follow as follow
from .logs.logger.logger import DataLogger as DataLogger
from .logs.logger.source import LogSource as LogSource
from .logs.logger.statistics import LoggerStatistics as LoggerStatistics
from .logs.logger.statistics import ProducerStatistics as ProducerStatistics
from .logs.logger.statistics import SourceStatistics as SourceStatistics
from .logs.logger.statistics import logger_statistics as logger_statistics
from .logs.names import LOG_ARCHIVE_SUFFIX as LOG_ARCHIVE_SUFFIX
from .logs.names import LOG_DIRECTORY_SUFFIX as LOG_DIRECTORY_SUFFIX
from .logs.recovery.recover import Recovery as Recovery
from .logs.recovery.recover import recover_log_directory as recover_log_directory
from .logs.sessions import LogSession as LogSession
from .memory.array import SharedMemoryArray as SharedMemoryArray
from .memory.queue import LogQueue as LogQueue
from .series import interpolate_data as interpolate_data
from .store.folio import DataFolio as DataFolio
from .store.imports.datafolio import Imported as Imported
from .store.imports.datafolio import import_folio as import_folio
from .store.imports.datamate import import_directory as import_directory
from .store.items import Item as Item
from .store.items import Snapshot as Snapshot
from .store.store import Store as Store
from .system.atomic import atomic_write as atomic_write
from .system.atomic import direct_write as direct_write

__all__ = [
    "ArchiveError",
    "Attempt",
    "BatchError",
    "ConfigError",
    "ConflictError",
    "ContractError",
    "CopiedLogError",
    "DamagedError",
    "DataFolio",
    "DataLogger",
    "DigestError",
    "DirectoryDifference",
    "DownloadError",
    "EntryFault",
    "Imported",
    "IntegrityError",
    "Item",
    "JobState",
    "LOG_ARCHIVE_SUFFIX",
    "LOG_DIRECTORY_SUFFIX",
    "LaneFullError",
    "LogArchiveReader",
    "LogMessage",
    "LogPackage",
    "LogQueue",
    "LogSession",
    "LogSource",
    "LoggedMessage",
    "LoggerStatistics",
    "MissingValueError",
    "PARALLEL_PROCESSING_THRESHOLD",
    "ProcessingStatus",
    "ProcessingTracker",
    "ProducerStatistics",
    "QueueBusyError",
    "QueueClosedError",
    "RecordedSession",
    "Recovery",
    "SegmentError",
    "SharedMemoryArray",
    "Snapshot",
    "SourceDescription",
    "SourceStatistics",
    "Store",
    "StoreError",
    "TornArrayError",
    "TornArrayWarning",
    "TrackerError",
    "TrackerStatus",
    "UntrustedError",
    "YAML_EXCLUDE_METADATA",
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
    "import_directory",
    "import_folio",
    "index_marker_files",
    "initialize_worker_threads",
    "interpolate_data",
    "limit_worker_threads",
    "logger_statistics",
    "map_archive",
    "merge_archives",
    "open_session",
    "read_archive_message_count",
    "recover_log_directory",
    "resolve_unique_roots",
    "transfer_directory",
    "verify_directory_checksum",
]

__version__: str
