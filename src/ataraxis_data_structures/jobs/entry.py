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

from . import scalar
from .state import JobState, ProcessingStatus

# Each form is one that every YAML parser reads, so that a text that matches never fails to parse: what does not match
# is read, or refused with its line, by `adopt`. `=` and `<<` alone mean something else to YAML 1.1.
_PLAIN = rb"""(?:[ !"$-9;-~\x80-\xff]|:(?=\S)|(?<=\S)\#)"""
_ESCAPE = rb"""\\(?:[0abtnvfre "\\N_LP]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}
  |U(?:0000(?![dD][89a-fA-F])|000[1-9A-Fa-f]|0010)[0-9A-Fa-f]{4})"""
_TEXT = rb"""(?:
    (?!-[ \n])[\w./+-]+(?:\ [\w./+-]+)*+(?=\n)
  | '(?:[\t !-&(-~\x80-\xff]++|''|\n(?=\n|\ {5}))*+'
  | "(?:[\t !\#-\[\]-~\x80-\xff]++|%(escape)b|\\?\n(?=\n|\ {5}))*+"
  | (?!(?:=|<<)\ *\n)(?:[$()+./0-9;<=A-Z\\^_a-z~\x80-\xff]|[?:-](?=\S))%(plain)b*+(?:\n\ {6}\ *+%(plain)b++)*+
)""" % {b"escape": _ESCAPE, b"plain": _PLAIN}
_STAMP = rb"(?:null|[0-9]{1,19})"
# A key of YAML is at most 1,024 characters long.
_ID = rb"""(?:[\w-]{1,1000}|'[ !-&(-~\x80-\xff]{0,1000}'|"(?:[ !\#-\[\]-~\x80-\xff]|%(escape)b){0,1000}"
  |(?!(?:=|<<)\ *:)[$()+./0-9;<=A-Z\\^_a-z~]%(plain)b{0,1000})""" % {b"escape": _ESCAPE, b"plain": _PLAIN}
# Group 1 is the entry, 2 the id; what follows is the room left for changes.
ENTRY = re.compile(
    rb"""(\ \ (%(id)b):\n
    \ \ \ \ job_name:\ (%(text)b)\n
    \ \ \ \ specifier:\ (%(text)b)\n
    \ \ \ \ status:\ ([0-3])\n
    \ \ \ \ executor_id:\ (%(text)b)\n
    \ \ \ \ error_message:\ (%(text)b)\n
    \ \ \ \ started_at:\ (%(stamp)b)\n
    \ \ \ \ completed_at:\ (%(stamp)b)\n)
    (?:\#\ *\#?\n|\n)*+"""
    % {b"id": _ID, b"text": _TEXT, b"stamp": _STAMP},
    re.VERBOSE,
)
_PLAIN_ID = re.compile(rb"[\w-]+")
_STATUS = re.compile(rb"\n    status: ([0-3])\n")


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
    """Return the state in an entry of the layout."""
    match = ENTRY.fullmatch(raw)
    if match is None:
        raise ValueError(f"expected an entry of a job, got {raw[:80]!r}")
    name, specifier, status, executor, error, started, completed = match.groups()[2:]
    return JobState(
        scalar.read(name),
        scalar.read(specifier),
        ProcessingStatus(int(status)),
        scalar.read_optional(executor),
        scalar.read_optional(error),
        None if started == b"null" else int(started),
        None if completed == b"null" else int(completed),
    )


def job_id(match: re.Match[bytes]) -> str:
    """Return the id in a match of ENTRY."""
    raw = match[2]
    return raw.decode() if _PLAIN_ID.fullmatch(raw) else scalar.read(raw)


def status(raw: bytes) -> ProcessingStatus:
    """Return the status in an entry of the layout, without reading the rest."""
    match = _STATUS.search(raw)
    if match is None:
        raise ValueError(f"expected an entry of a job, got {raw[:80]!r}")
    return ProcessingStatus(int(match[1]))
