"""A tracker's file that is not in the layout: what a person or another program meant by it, or why it is refused.

Fields of text take every unquoted word as it was written (`007`, `12:30:00`, `no`), whatever type YAML gives it.
"""

import re
from typing import NamedTuple

import yaml

from ..config.load import compose, duplicate_keys
from . import entry
from .scalar import NULLS
from .state import JobState, ProcessingStatus

_REMARK = re.compile(rb"(?m)(?:^|[ \t])#[^\n]*\w")
_KEYS = {"file_path", "jobs", "lock_path"}
_FIELDS = set(JobState.__dataclass_fields__)
_YAML = "tag:yaml.org,2002:"
_WORDS = {_YAML + kind for kind in ("str", "int", "float", "bool", "null", "timestamp")}  # what an unquoted word can be
_FIRST_JOB = re.compile(rb"(?m)^jobs:[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*( *)[^\s]")

Fields = dict[str, yaml.Node]


class Adopted(NamedTuple):
    """Every job as an entry of the layout, and what the text holds that entries cannot keep."""

    entries: dict[str, bytes]
    foreign: list[tuple[int, str]]  # line and name of each key that no tracker has
    has_remarks: bool

    @property
    def loses(self) -> bool:
        """Whether the text says more than the entries do."""
        return self.has_remarks or bool(self.foreign)


class _RefusalError(ValueError):
    def __init__(self, node: yaml.Node, reason: str) -> None:
        super().__init__(reason)
        self.line = node.start_mark.line + 1


def adopt(data: bytes) -> Adopted:
    """Return the jobs of a file; ValueError says in which line, and of which job, the text is no tracker's."""
    _check_end(data)
    try:
        root = compose(data)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{_where(data, _place(data, error))}: expected YAML: {_reason(error)}") from error
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f"line 1: expected a mapping with the key 'jobs', got {_shown(root)}")  # noqa: TRY004
    if doubled := duplicate_keys(root):
        raise ValueError(f"{_where(data, doubled[0][1])}: expected each key once, got {doubled[0][0]!r} again")
    return _adopted(root, has_remarks=_REMARK.search(data) is not None)


def _adopted(root: yaml.MappingNode, *, has_remarks: bool) -> Adopted:
    job_id = ""
    try:
        entries, jobs, foreign = {}, _jobs(root), _foreign(root, _KEYS)
        for job_id, node in jobs.items():
            entries[job_id] = _entry(job_id, node)
            foreign += _foreign(node, _FIELDS)
    except _RefusalError as error:
        raise ValueError(f"line {error.line}{f', job {job_id}' if job_id else ''}: {error}") from error
    return Adopted(entries, sorted(foreign), has_remarks)


def _jobs(root: yaml.MappingNode) -> Fields:
    document = _fields(root, "fields")
    if "jobs" not in document:
        raise _RefusalError(root, f"expected a mapping with the key 'jobs', got the keys {', '.join(document)[:80]}")
    return _fields(document["jobs"], "a mapping of jobs")


def _entry(job_id: str, node: yaml.Node) -> bytes:
    raw = entry.render(job_id, _state(node, _fields(node, "the fields of a job")))
    if entry.ENTRY.fullmatch(raw) is None:
        raise _RefusalError(node, f"expected an id of printable characters in one line, got {job_id!r:.80}")
    return raw


def _foreign(node: yaml.Node, known: set[str]) -> list[tuple[int, str]]:
    return [(key.start_mark.line + 1, key.value) for key, _ in node.value if key.value not in known]


def _fields(node: yaml.Node, expected: str) -> Fields:
    """Return the values of a mapping by their keys, those that `<<` merges into it among them."""
    if not isinstance(node, yaml.MappingNode):
        raise _RefusalError(node, f"expected {expected}, got {_shown(node)}")
    try:
        yaml.constructor.SafeConstructor().flatten_mapping(node)
    except yaml.YAMLError as error:
        raise _RefusalError(node, f"expected YAML: {_reason(error)}") from error
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _RefusalError(key, f"expected a word as key, got {_shown(key)}")
    return {key.value: value for key, value in node.value}


def _state(node: yaml.Node, fields: Fields) -> JobState:
    if "job_name" not in fields:
        raise _RefusalError(node, "expected a job_name, got none")
    return JobState(
        _text("job_name", fields["job_name"]),
        _text("specifier", fields["specifier"]) if "specifier" in fields else "",
        _status(fields["status"]) if "status" in fields else ProcessingStatus.SCHEDULED,
        _optional_text("executor_id", fields.get("executor_id")),
        _optional_text("error_message", fields.get("error_message")),
        _stamp("started_at", fields.get("started_at")),
        _stamp("completed_at", fields.get("completed_at")),
    )


def _text(field: str, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _RefusalError(node, f"{field}: expected text, got {_shown(node)}")
    if node.tag not in _WORDS:
        raise _RefusalError(
            node, f"{field}: expected YAML of text, got {node.value!r} of the type {node.tag}; quote it"
        )
    return str(node.value)


def _optional_text(field: str, node: yaml.Node | None) -> str | None:
    return None if node is None or _is_null(node) else _text(field, node)


def _stamp(field: str, node: yaml.Node | None) -> int | None:
    if node is None or _is_null(node):
        return None
    value = _value(node)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**19:
        return value
    raise _RefusalError(node, f"{field}: expected UTC microseconds, got {value!r:.80}")


def _status(node: yaml.Node) -> ProcessingStatus:
    value = _value(node)
    if isinstance(value, str) and value in ProcessingStatus.__members__:
        return ProcessingStatus[value]
    if isinstance(value, int | float) and not isinstance(value, bool) and value in (0, 1, 2, 3):
        return ProcessingStatus(int(value))
    raise _RefusalError(node, f"status: expected a number from 0 to 3, got {value!r:.80}")


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == _YAML + "null" and node.value in NULLS)


def _value(node: yaml.Node) -> object:
    """Return what YAML makes of a scalar; of one that it cannot make, its text."""
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _WORDS:
        raise _RefusalError(node, f"expected a number, got {_shown(node)}")
    try:
        value: object = yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError):  # 2024-13-45
        return str(node.value)
    return value


def _shown(node: yaml.Node | None) -> str:
    if isinstance(node, yaml.ScalarNode):
        return f"{node.value!r:.80}"
    return "nothing" if node is None else f"a {'mapping' if isinstance(node, yaml.MappingNode) else 'list'}"


def _reason(error: Exception) -> str:
    parts = (getattr(error, "context", None), getattr(error, "problem", None))
    return ", ".join(part for part in parts if part) or " ".join(str(error).split())


def _place(data: bytes, error: Exception) -> int:
    """Return the line, counted from 1, in which an error of PyYAML lies."""
    # A scanner's context is where the scalar begins; its problem may be the end of the file.
    context = getattr(error, "context_mark", None) if isinstance(error, yaml.scanner.ScannerError) else None
    mark = context or getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    at = getattr(error, "position", getattr(error, "start", len(data)))
    return data.count(b"\n", 0, at) + 1 if isinstance(at, int) else 1


def _where(data: bytes, line: int) -> str:
    """Return a line and the job within which it lies, as far as the indentation tells."""
    head = b"\n".join(data.split(b"\n")[:line])
    first = _FIRST_JOB.search(data)
    if first is None or first.start(1) > len(head):
        return f"line {line}"
    keys = re.findall(rb"(?m)^" + first[1] + rb"([^\s#:][^\n:]*):", head[first.start(1) :])
    return (
        f"line {line}, job {keys[-1].decode(errors='backslashreplace').strip(chr(39) + chr(34))}"
        if keys
        else f"line {line}"
    )


def _check_end(data: bytes) -> None:
    """YAML cut between two lines often is YAML; the end marker that goes with `---` tells."""
    if data.startswith(b"---") and not re.search(rb"\n\.\.\.\s*(?:#[^\n]*\s*)*\Z", data):
        where = _where(data, data.rstrip(b"\n").count(b"\n") + 1)
        raise ValueError(f"{where}: expected the end marker '...' after {len(data)} bytes; the file is cut")
