"""What an archive says of its sessions: in the comment of the zip file, which numpy and zipfile pass over.

    {"axds-log":1,"dropped":N,"sessions":[…]}       sessions as LogSession.document has them

What does not fit into the 65,535 bytes of a comment lies beside the archive, in SOURCE_log.json; the comment then says
{"axds-log":1,"dropped":N,"sidecar":true}.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ...system.disk import read_record_file
from ..sessions import LogSession, merged, session_of

MOST_BYTES = 65535
_KIND = "axds-log"
_END_BYTES = 22  # of the last record, whose last two count the comment
_SIDECAR_SUFFIX = "_log.json"

T = TypeVar("T")


@dataclass(frozen=True)
class Notes:
    """The sessions of an archive by their beginning; `dropped` of each is that of the archive's source."""

    sessions: tuple[LogSession, ...] = ()

    @property
    def dropped(self) -> int:
        """Messages of the source that a full lane refused."""
        return sum(count for session in self.sessions for count in session.dropped.values())


def read_notes(path: Path, data: Any) -> Notes:
    """Return what an archive, whose bytes are `data`, says of its sessions; nothing where it says nothing."""
    document = _parsed(comment_of(data))
    if document.get("sidecar"):
        try:
            document = _parsed(read_record_file(sidecar_of(path)))
        except OSError:  # it was left behind when the archive was moved
            return Notes()
    found = document.get("sessions", [])
    return Notes(tuple(filter(None, map(session_of, found if isinstance(found, list) else []))))


def comment_of(data: Any) -> bytes:
    """Return the comment at the end of a zip file."""
    end = bytes(memoryview(data)[-(MOST_BYTES + _END_BYTES) :])
    at = end.rfind(b"PK\5\6")
    while at >= 0:
        comment = end[at + _END_BYTES :]
        if (
            int.from_bytes(end[at + _END_BYTES - 2 : at + _END_BYTES], "little")
            == len(comment)
            == len(end) - at - _END_BYTES
        ):
            return comment
        at = end.rfind(b"PK\5\6", 0, at)
    return b""


def with_comment(end: bytes, comment: bytes) -> bytes:
    """Return the last records of a zip file with a comment."""
    return end[:-2] + len(comment).to_bytes(2, "little") + comment


def sidecar_of(path: Path) -> Path:
    """Return where lies what has no room in an archive's comment."""
    return path.with_name(path.name.removesuffix("_log.npz") + _SIDECAR_SUFFIX)


def pack_notes(source: int, before: Notes, sessions: Iterable[LogSession]) -> tuple[bytes, bytes]:
    """Return the comment and the sidecar (empty where the comment has room for all) of a source's archive."""
    fresh = [
        replace(session, earlier=(), dropped=_only(source, session.dropped), sources=_only(source, session.sources))
        for session in sessions
    ]
    notes = Notes(tuple(merged([*before.sessions, *fresh])))
    if not notes.sessions:
        return b"", b""
    head: dict[str, Any] = {_KIND: 1, "dropped": notes.dropped}
    whole = _packed(head | {"sessions": [session.document() for session in notes.sessions]})
    return (whole, b"") if len(whole) <= MOST_BYTES else (_packed(head | {"sidecar": True}), whole)


def _only(source: int, by_source: dict[int, T]) -> dict[int, T]:
    return {source: by_source[source]} if source in by_source else {}


def _packed(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data) if data else {}
    except (ValueError, RecursionError):  # the comment of another program
        return {}
    return found if isinstance(found, dict) and _KIND in found else {}
