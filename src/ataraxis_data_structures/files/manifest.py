"""The digest of each file, kept in a folder beside its checksum: it names the files that changed.

It lies in `.ax_manifest/ax_checksum.txt`. Files of that name count in no checksum, at any depth and also for the
published library, so that a folder with a manifest has the checksum of one without.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from .unnamed import write_unnamed

_FOLDER, _NAME = ".ax_manifest", "ax_checksum.txt"
_CLOCK_NS = 10 * 10**6  # what a file system's clock may be late


def write_manifest(directory: Path, manifest: Mapping[str, str]) -> None:
    """Keep the digests of a folder in it."""
    place = directory / _FOLDER
    place.mkdir(exist_ok=True)
    write_unnamed(place / _NAME, json.dumps(dict(manifest), indent=0) + "\n")


def read_manifest(directory: Path) -> dict[str, str]:
    """Return the digests that a folder keeps; none where it keeps none that can be read."""
    try:
        found = json.loads((directory / _FOLDER / _NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): str(digest) for name, digest in found.items()}


def written_since(directory: Path, names: Mapping[str, str], checksum_file: Path) -> list[str]:
    """Return the files that were written after a checksum was saved, as their times say."""
    saved_ns = checksum_file.stat().st_mtime_ns
    return [name for name in names if (directory / name).stat().st_mtime_ns > saved_ns + _CLOCK_NS]
