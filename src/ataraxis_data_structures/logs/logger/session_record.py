"""The record that a logger process leaves of its session, beside the messages."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...memory.consumer import LogDrain
from ..control_words import Note
from ..journal.holdings import Holdings
from ..recovery.files import expand_journals
from ..sessions import LogSession, holds_messages, message_files, read_record, record_path, session_of, write_record


class SessionRecord:
    """The record of one session, which each of its logger processes goes on with."""

    def __init__(self, directory: Path, document: dict[str, Any], drain: LogDrain) -> None:
        """Leave the record, unless an earlier process of the session did, or there is nothing to say yet."""
        self._directory = directory
        self._drain = drain
        self._session = self._begun(document)

    def tell_of_late_sources(self) -> None:
        """Leave the record of a session whose first description came late: it tells which files are its own."""
        session = self._session
        if session is None or record_path(self._directory, session.id).exists():
            return
        if self._is_described:
            with suppress(OSError):  # tried again, and at the end
                write_record(self._directory, session)

    def end(self) -> None:
        """Complete the record, if the session has one, or something to say."""
        session = self._session
        if session is None:
            return
        dropped = self._drain.dropped()
        is_told = record_path(self._directory, session.id).exists() or self._is_described
        if not (dropped or is_told):
            return
        with suppress(OSError):  # a full disk: the messages matter more
            write_record(self._directory, replace(session, ended_us=time.time_ns() // 1000, dropped=dropped))

    @property
    def _is_described(self) -> bool:
        return self._drain.hub.notes[Note.DESCRIBED] != 0

    def _begun(self, document: dict[str, Any]) -> LogSession | None:
        session = session_of(document)
        if session is None:
            return None
        found = read_record(self._directory, session.id)
        if found is not None:
            return found
        if session.storage == "npy":  # so that files made late from journals of others are not taken for ours
            expand_journals(Holdings(self._directory))
        earlier = tuple(message_files(self._directory))
        session = replace(session, started_us=time.time_ns() // 1000, earlier=earlier)
        # Programs that count message files find nothing else beside them, unless there is something to say.
        is_told = session.storage == "journal" or session.metadata or self._is_described
        if is_told or holds_messages(self._directory, self._drain.hub.queue_id):
            write_record(self._directory, session)
        return session
