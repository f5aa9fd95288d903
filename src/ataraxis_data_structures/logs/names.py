"""Which names in a log directory are a log's."""

import errno
import os

LOG_ARCHIVE_SUFFIX = "_log.npz"
"""What follows the source in the name of an archive."""

LOG_DIRECTORY_SUFFIX = "_data_log"
"""What follows the logger's name in the name of its directory."""

_MESSAGE_SUFFIX = ".npy"


def source_of(name: str) -> str | None:
    """Return the source whose archive has this name; None for any other name."""
    source = name.removesuffix(LOG_ARCHIVE_SUFFIX)
    return None if source in ("", name) or _is_twin(name) else source


def is_message_file(name: str) -> bool:
    """Tell whether a name is that of a message file, of the logger's spelling or another."""
    return name.endswith(_MESSAGE_SUFFIX) and not _is_twin(name)


def is_file(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry of a directory is a file, or may be one: who reads it is told why that cannot be known."""
    try:
        return entry.is_file()
    except OSError as error:  # behind a link that may not be followed, or in a folder that may only be listed
        return error.errno != errno.ELOOP


def _is_twin(name: str) -> bool:
    """Tell whether a name is one that macOS gives to its own notes on a file, on a disk of another system."""
    return name.startswith("._")
