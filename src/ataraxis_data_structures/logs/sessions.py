"""Who recorded what: each session of a logger leaves a record beside its messages until they are in archives.

A session is one DataLogger, however often it is started and stopped. Its record is the file `.axds-session-ID.json`,
where ID is the number of its queue, by which its journals are named. Message files carry no such number: a session that
began beside those of others lists their names (`earlier`), so that what is not in the list is its own.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..system.disk import read_record_file
from .descriptions import SourceDescription, description_names, description_of, read_descriptions
from .journal import layout
from .names import LOG_DIRECTORY_SUFFIX, is_message_file, source_of

_NAME = re.compile(r"\.axds-session-([0-9a-f]{16})\.json")


@dataclass(frozen=True, slots=True)
class LogSession:
    """What is known of one session of a logger; times are UTC microseconds, 0 where they are not known."""

    id: str
    """16 hexadecimal digits."""
    storage: str = ""
    started_us: int = 0
    ended_us: int = 0
    """0 also for a session that was killed."""
    host: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    """Of this library, of Python, and of the system."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What the program that recorded gave to its DataLogger."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Source -> messages that a full lane refused; in an archive, of its own source alone."""
    earlier: tuple[str, ...] = ()
    """Message files that lay in the directory when the session began."""
    split_from: str = ""
    """The directory that the session was recorded into, beside messages of another."""
    sources: dict[int, SourceDescription] = field(default_factory=dict)
    """Source -> what its messages are, where the program said so; in an archive, of its own source alone."""

    def document(self) -> dict[str, Any]:
        """Return the session as JSON has it."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        found["dropped"] = {str(source): count for source, count in sorted(self.dropped.items())}
        found["earlier"] = list(self.earlier)
        found["sources"] = {str(code): source.document() for code, source in sorted(self.sources.items())}
        return {name: value for name, value in found.items() if value}


def session_of(document: object) -> LogSession | None:
    """Return the session that a document tells of; None if it is something else."""
    if not isinstance(document, dict) or not re.fullmatch("[0-9a-f]{16}", str(document.get("id"))):
        return None
    known = {name: document[name] for name in LogSession.__slots__ if name in document}
    try:
        known["dropped"] = {int(source): int(count) for source, count in known.get("dropped", {}).items()}
        known["earlier"] = tuple(map(str, known.get("earlier", ())))
        described = map(description_of, known.get("sources", {}).values())
        known["sources"] = {source.code: source for source in described if source is not None}
        for name in ("started_us", "ended_us"):
            known[name] = int(known.get(name, 0))
        known["metadata"], known["versions"] = dict(known.get("metadata", {})), dict(known.get("versions", {}))
    except (AttributeError, TypeError, ValueError):
        return None
    return LogSession(**known)


def session_id(queue_id: int) -> str:
    """Return the id of the session whose queue has this number."""
    return f"{queue_id:016x}"


def record_path(directory: Path, identifier: str) -> Path:
    """Return where a session's record lies."""
    return directory / f".axds-session-{identifier}.json"


def record_names(directory: Path, identifier: str) -> list[str]:
    """Return the names of the files that tell of a session: its record and what it says of its sources."""
    record = record_path(directory, identifier)
    return [*description_names(directory, identifier), *([record.name] if record.exists() else [])]


def new_session(queue_id: int, storage: str, metadata: Mapping[str, Any]) -> LogSession:
    """Return a session of this machine that has not begun."""
    import platform  # noqa: PLC0415 the logger process needs neither of these
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        own = version("ataraxis-data-structures")
    except PackageNotFoundError:  # a program that was frozen without its metadata
        own = ""
    versions = {"ataraxis-data-structures": own, "python": platform.python_version(), "system": sys.platform}
    return LogSession(session_id(queue_id), storage, 0, 0, platform.node(), versions, dict(metadata))


def write_record(directory: Path, session: LogSession) -> None:
    """Put a session's record into a log directory, in place of an older one."""
    path = record_path(directory, session.id)
    aside = path.with_suffix(".tmp")  # one writer at a time, under the directory's lock; a dead one's is written over
    try:
        aside.write_text(json.dumps(session.document()), encoding="utf-8")
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def read_records(directory: Path) -> list[LogSession]:
    """Return the sessions that left a record in a directory, in the order in which they began; damaged ones do not.

    A session that was killed before it left a record is known by the sources that it described.
    """
    names = filter(None, map(_NAME.fullmatch, os.listdir(directory)))  # noqa: PTH208 names are enough
    found = {name[1]: session for name in names if (session := read_record(directory, name[1])) is not None}
    for identifier, sources in read_descriptions(directory).items():
        onset_us = min(source.onset_us for source in sources.values())
        session = found.get(identifier) or LogSession(identifier, "npy", onset_us)
        found[identifier] = replace(session, sources=session.sources | sources)
    return sorted(found.values(), key=lambda session: (session.started_us, session.id))


def read_record(directory: Path, identifier: str) -> LogSession | None:
    """Return what one session's record says; None where it is missing or damaged."""
    try:
        return session_of(json.loads(read_record_file(record_path(directory, identifier))))
    except (OSError, ValueError):
        return None


def message_files(directory: Path) -> Iterator[str]:
    """Yield the names of the message files of a directory."""
    with os.scandir(directory) as found:
        yield from (entry.name for entry in found if is_message_file(entry.name))


def holds_messages(directory: Path, queue_id: int = 0) -> bool:
    """Tell whether messages of a session lie in a directory: archives, message files, journals of another queue."""
    if not directory.is_dir():
        return False
    with os.scandir(directory) as found:
        for entry in found:
            if is_message_file(entry.name) or source_of(entry.name):
                return True
            parsed = layout.parse_name(Path(entry.name))
            if parsed is not None and parsed[0] != queue_id and entry.stat().st_size > layout.HEADER_BYTES:
                return True
    return False


def further_directories(directory: Path) -> Iterator[Path]:
    """Yield the names for a log's second, third, ... session: NAME_2_data_log, NAME_3_data_log, ..."""
    stem = directory.name.removesuffix(LOG_DIRECTORY_SUFFIX)
    ending = directory.name.removeprefix(stem)
    number = 1
    while True:
        number += 1
        yield directory.with_name(f"{stem}_{number}{ending}")


def merged(sessions: Iterable[LogSession]) -> list[LogSession]:
    """Return each session once, by its start; of two that tell of one, the drops of both at their largest."""
    known: dict[str, LogSession] = {}
    for session in sessions:
        before = known.get(session.id)
        if before is not None:
            dropped = {
                source: max(before.dropped.get(source, 0), session.dropped.get(source, 0))
                for source in {*before.dropped, *session.dropped}
            }
            session = replace(  # noqa: PLW2901
                session, dropped=dropped, ended_us=max(before.ended_us, session.ended_us),
                metadata=session.metadata or before.metadata, versions=session.versions or before.versions,
                sources=before.sources | session.sources,
            )  # fmt: skip
        known[session.id] = session
    return sorted(known.values(), key=lambda session: (session.started_us, session.id))
