"""A job's entry in the file: eight lines of YAML, their order fixed.

<job id>:
  job_name: <text>
  specifier: <text>
  status: <0..3>
  executor_id: <text or null>
  error_message: <text or null>
  started_at: <UTC microseconds or null>
  completed_at: <UTC microseconds or null>
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from . import scalar
from .state import JobState, ProcessingStatus

_T = TypeVar("_T")

_TEXT = rb"""(?:
    [\w./+-]+(?:\ [\w./+-]+)*+(?=\n)
  | '(?:[\t !-&(-~\x80-\xff]++|''|\n(?=\n|\ {5}))*+'
  | "(?:[\t !\#-\[\]-~\x80-\xff]++|\\[\t -~\x80-\xff]|\\?\n(?=\n|\ {5}))*+"
  | (?:[^\s\#,\[\]{}&*!|>'"%@`?:-]|[?:-](?=\S))(?:[^\n:\#]|:(?=\S)|(?<=\S)\#)*+(?:\n\ {6}[^\n\#]++)*+
)"""
_STAMP = rb"(?:null|[0-9]{1,19})"
# Group 1 is the entry, 2 the id; what follows is the room left for changes.
ENTRY = re.compile(
    rb"""(\ \ ([\w-]+|'[^'\n]*'|"[^"\\\n]*"):\n
    \ \ \ \ job_name:\ (%(text)b)\n
    \ \ \ \ specifier:\ (%(text)b)\n
    \ \ \ \ status:\ ([0-3])\n
    \ \ \ \ executor_id:\ (%(text)b)\n
    \ \ \ \ error_message:\ (%(text)b)\n
    \ \ \ \ started_at:\ (%(stamp)b)\n
    \ \ \ \ completed_at:\ (%(stamp)b)\n)
    (?:\#\ *\#?\n|\n)*+"""
    % {b"text": _TEXT, b"stamp": _STAMP},
    re.VERBOSE,
)
_STATUS = re.compile(rb"\n    status: ([0-3])\n")
_FIELDS = frozenset(JobState.__dataclass_fields__)


def render(job_id: str, state: JobState) -> bytes:
    """Return the entry of a job."""
    name, specifier = scalar.write("job_name", state.job_name), scalar.write("specifier", state.specifier)
    executor = scalar.write("executor_id", state.executor_id)
    error = scalar.write("error_message", state.error_message)
    started = "null" if state.started_at is None else state.started_at
    completed = "null" if state.completed_at is None else state.completed_at
    return (
        f"  {scalar.write('id', job_id)}:\n    job_name: {name}\n    specifier: {specifier}\n"
        f"    status: {int(state.status)}\n    executor_id: {executor}\n    error_message: {error}\n"
        f"    started_at: {started}\n    completed_at: {completed}\n"
    ).encode()


def parse(raw: bytes) -> JobState:
    """Return the state in an entry of the layout; ValueError says which field has the wrong type."""
    match = ENTRY.fullmatch(raw)
    if match is None:
        raise ValueError(f"expected an entry of a job, got {raw[:80]!r}")
    name, specifier, status, executor, error, started, completed = match.groups()[2:]
    return JobState(
        _text("job_name", scalar.read(name)),
        _text("specifier", scalar.read(specifier)),
        ProcessingStatus(int(status)),
        _optional(_text, "executor_id", scalar.read(executor)),
        _optional(_text, "error_message", scalar.read(error)),
        None if started == b"null" else int(started),
        None if completed == b"null" else int(completed),
    )


def job_id(match: re.Match[bytes]) -> str:
    """Return the id in a match of ENTRY."""
    raw = match[2]
    return raw.decode() if raw[:1].isalnum() or raw[:1] == b"_" else str(scalar.read(raw))


def status(raw: bytes) -> ProcessingStatus:
    """Return the status in an entry of the layout, without reading the rest."""
    match = _STATUS.search(raw)
    if match is None:
        raise ValueError(f"expected an entry of a job, got {raw[:80]!r}")
    return ProcessingStatus(int(match[1]))


def from_mapping(values: object) -> tuple[JobState, set[object]]:
    """Return the state that a person's YAML means, and the keys that the layout has no place for."""
    if not isinstance(values, Mapping):
        raise ValueError(f"expected the fields of a job, got {values!r}")  # noqa: TRY004 - one error for a bad file
    if "job_name" not in values:
        raise ValueError("expected a job_name, got none")
    state = JobState(
        _text("job_name", values["job_name"]),
        _text("specifier", values.get("specifier", "")),
        _status(values.get("status", 0)),
        _optional(_text, "executor_id", values.get("executor_id")),
        _optional(_text, "error_message", values.get("error_message")),
        _optional(_stamp, "started_at", values.get("started_at")),
        _optional(_stamp, "completed_at", values.get("completed_at")),
    )
    return state, set(values) - _FIELDS


def _optional(check: Callable[[str, object], _T], field: str, value: object) -> _T | None:
    return None if value is None else check(field, value)


def _text(field: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # people write a number without quotes
    raise ValueError(f"{field}: expected text, got {value!r}")


def _stamp(field: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**19:
        return value
    raise ValueError(f"{field}: expected UTC microseconds, got {value!r}")


def _status(value: object) -> ProcessingStatus:
    if isinstance(value, str) and value in ProcessingStatus.__members__:
        return ProcessingStatus[value]
    if isinstance(value, int | float) and not isinstance(value, bool) and value in (0, 1, 2, 3):
        return ProcessingStatus(int(value))
    raise ValueError(f"status: expected a number from 0 to 3, got {value!r}")
