"""Shared arrays and crash-proof, high-rate logging for the processes of an acquisition rig."""

# The layers; a package imports only from those beneath it.
#
#   cli/                                 the commands of `axds`
#   rig/                                 recordings that a YAML file describes
#   store/                               a folder of plain files with a history
#   logs/    jobs/                       what the rig recorded | who is working on it
#   memory/  files/  config/ series      shared arrays and queues | folders | YAML | interpolation
#   system/                              processes, locks, whole files, platform
#   _core/   errors                      compiled: buffers, words, clocks | every exception that a user can meet
#
# Names are found on first use, so that importing the package costs no more than what a program touches.

from importlib import import_module

_PUBLIC = {
    "errors": (
        "ArchiveError BatchError ConfigError ConflictError ContractError CopiedLogError DamagedError DigestError "
        "DownloadError IntegrityError LaneFullError MissingValueError QueueBusyError QueueClosedError SegmentError "
        "StoreError TornArrayError TornArrayWarning TrackerError UntrustedError"
    ),
    "_core.frame": "LogPackage",
    "memory.array": "SharedMemoryArray",
    "memory.queue": "LogQueue",
    "logs.descriptions": "SourceDescription",
    "logs.logger.logger": "DataLogger",
    "logs.logger.source": "LogSource",
    "logs.logger.statistics": "LoggerStatistics ProducerStatistics SourceStatistics logger_statistics",
    "logs.journal.follow": "LoggedMessage follow",
    "logs.recovery.recover": "Recovery recover_log_directory",
    "config.encode": "YAML_EXCLUDE_METADATA",
    "config.yaml_config": "YamlConfig",
    "files.checksum": (
        "DirectoryDifference calculate_directory_checksum calculate_directory_manifest compare_directories "
        "verify_directory_checksum"
    ),
    "files.delete": "delete_directory",
    "files.markers": "discover_marker_files discover_marker_roots index_marker_files resolve_unique_roots",
    "files.transfer": "transfer_directory",
    "jobs.attempts": "Attempt",
    "jobs.state": "JobState ProcessingStatus TrackerStatus",
    "jobs.tracker": "ProcessingTracker",
    "jobs.workers": "initialize_worker_threads limit_worker_threads",
    "logs.assembly.assemble": "assemble_log_archives",
    "logs.archive.batches": "map_archive merge_archives",
    "logs.archive.discovery": ("discover_log_archives find_log_archive find_log_archives read_archive_message_count"),
    "logs.export.export": "export_archive",
    "logs.archive.recording": "RecordedSession open_session",
    "logs.archive.reader": "PARALLEL_PROCESSING_THRESHOLD LogArchiveReader LogMessage",
    "logs.archive.verify": "EntryFault",
    "store.folio": "DataFolio",
    "store.imports.datafolio": "Imported import_folio",
    "store.imports.datamate": "import_directory",
    "store.items": "Item Snapshot",
    "store.store": "Store",
    "logs.names": "LOG_ARCHIVE_SUFFIX LOG_DIRECTORY_SUFFIX",
    "logs.sessions": "LogSession",
    "series": "interpolate_data",
    "system.atomic": "atomic_write direct_write",
}
"""Each module's public names: the one list of them. `stubs/package_stub.py` writes __init__.pyi from it."""

_HOMES = {name: module for module, names in _PUBLIC.items() for name in names.split()}

__all__ = sorted(_HOMES)  # noqa: PLE0605 a list, made from the table


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 it costs more than all else here

        value: object = version("ataraxis-data-structures")
    elif name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
