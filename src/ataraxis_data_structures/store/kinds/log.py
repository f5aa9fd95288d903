"""Archives of logs: an item for each source."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ArchiveError, DamagedError
from .kind import About, Kind, Payload, PayloadFile

if TYPE_CHECKING:
    from ...logs.archive.reader import LogArchiveReader


def about_of(path: Path) -> About:
    """Return what the ledger keeps of an archive: its source, how many messages it has, when its session began."""
    from ...logs.archive.reader import LogArchiveReader  # noqa: PLC0415 for stores with logs
    from ...logs.names import LOG_ARCHIVE_SUFFIX  # noqa: PLC0415

    reader = LogArchiveReader(path)
    try:
        onset_us, messages = int(reader.onset_timestamp_us), reader.message_count
    except ArchiveError as error:
        raise DamagedError(f"expected an archive of a log in {path}: {error}", (str(path),)) from None
    source = path.name.removesuffix(LOG_ARCHIVE_SUFFIX).partition("@")[0]
    return {"messages": messages, "onset_us": onset_us, "source": source}


def _write(value: Any, file: PayloadFile) -> About:
    raise TypeError(f"expected a log that a session of Store.log recorded, got {type(value)!r} to write to {file!r}")


def _read(payload: Payload, about: About) -> "LogArchiveReader":
    payload.check()
    return _open(payload, about)


def _open(payload: Payload, _: About) -> "LogArchiveReader":
    from ...logs.archive.reader import LogArchiveReader  # noqa: PLC0415 for stores with logs

    return LogArchiveReader(payload.view or payload.path)


LOG = Kind(
    "log", lambda _: ".npz", lambda _: False, _write, _read, _open, is_default=False, is_carried=False, about=about_of
)
