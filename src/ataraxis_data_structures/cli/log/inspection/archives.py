"""The archives of a log as commands choose them: by name or number."""

import argparse
from pathlib import Path

from ....logs.archive.reader import LogArchiveReader
from ..session import require_log, tell_passed_over


def chosen_archives(path: Path, wanted: list[str]) -> dict[str, LogArchiveReader]:
    """Return name -> reader for the archives of a log, those wanted or all; tells of what is passed over.

    Raises:
        ValueError: There is no archive, or none of a wanted source.
    """
    contents = require_log(path)
    tell_passed_over(contents)
    if not contents.archives:
        raise ValueError(f"{path}: expected archives, got none; run `axds log assemble` first")
    readers = {}
    for code, archive in sorted(contents.archives.items(), key=lambda one: (len(one[0]), one[0])):
        reader = LogArchiveReader(archive)
        name = reader.source.name if reader.source is not None else code
        if not wanted or name in wanted or code in wanted:
            readers[name if name not in readers else code] = reader
    known = {*readers, *(reader.archive_path.name.partition("_")[0] for reader in readers.values())}
    missing = [name for name in wanted if name not in known]
    if missing:
        names = ", ".join(chosen_archives(path, []))
        raise ValueError(f"{path}: expected a source called {', '.join(missing)}, got {names}")
    return readers


def first_onset_us(readers: dict[str, LogArchiveReader]) -> int:
    """Return when the clock of the first source began."""
    return min(int(reader.onset_timestamp_us) for reader in readers.values())


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says where new archives go."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the directory to write to; archives there stay as they are"
    )
