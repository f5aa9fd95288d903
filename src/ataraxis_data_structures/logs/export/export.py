"""Archives into the formats of other programs; their libraries come with the extra `export`, imported where used."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from ..archive.reader import LogArchiveReader

Facts = dict[str, str]
Write = Callable[[LogArchiveReader, Path, Facts], None]

_MODULES = {
    ".parquet": "parquet",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".mcap": "mcap",
    ".csv": "csv",
    ".zarr": "zarr",
    ".nwb": "nwb",
}


def export_archive(archive: LogArchiveReader | Path, destination: Path) -> None:
    """Write the messages of an archive into a file that another program opens, some MiB at a time.

    Messages of a described source (`DataLogger.source`) are written as values of its type and shape; those of others
    as bytes. Onset, source, sessions, the number of dropped messages, and name, unit, rate and metadata of the source
    stand in the file's metadata.

    Args:
        archive: The archive, or its reader.
        destination: Ends in `.parquet`, `.h5` (or `.hdf5`), `.mcap`, `.csv`, `.zarr` (a folder) or `.nwb`.

    Raises:
        ValueError: Another ending, or values that the format cannot hold.
        ImportError: The library of the format is missing; the extra `export` installs it.
    """
    reader = archive if isinstance(archive, LogArchiveReader) else LogArchiveReader(archive)
    module = _MODULES.get(Path(destination).suffix)
    if module is None:
        raise ValueError(f"expected a destination ending in {', '.join(_MODULES)}, got {destination}")
    write: Write = import_module(f".{module}_format", __package__).write
    write(reader, Path(destination), _facts(reader))


def _facts(reader: LogArchiveReader) -> Facts:
    facts = {"onset_us": str(int(reader.onset_timestamp_us)), "source": reader.archive_path.name.partition("_")[0]}
    if reader.sessions:
        facts["dropped"] = str(reader.drops)
        facts["sessions"] = json.dumps([session.document() for session in reader.sessions])
    if reader.source is not None:
        facts["description"] = json.dumps(reader.source.document())
    return facts
