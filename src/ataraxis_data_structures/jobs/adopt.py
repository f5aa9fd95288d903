"""A tracker's file that is not in the layout: what a person or another program meant by it, or why it is refused."""

import re

import yaml

from ..config.load import duplicate_keys, load
from . import entry

_REMARK = re.compile(rb"(?m)(?:^|[ \t])#[^\n]*\w")
_KEYS = {"file_path", "jobs", "lock_path"}


def adopt(data: bytes) -> tuple[dict[str, bytes], bool]:
    """Return every job as an entry of the layout, and whether the text holds more than entries can keep.

    Raises ValueError that says why the text is no tracker.
    """
    _check_end(data)
    try:
        document = load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"expected YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document.value, dict):
        raise ValueError(f"expected a mapping with the key 'jobs', got {document.value!r:.80}")  # noqa: TRY004
    jobs = document.value.get("jobs", {})
    if not isinstance(jobs, dict):
        raise ValueError(f"line {document.line(('jobs',))}: expected a mapping of jobs, got {jobs!r:.80}")  # noqa: TRY004
    if doubled := duplicate_keys(document.root):
        raise ValueError(f"line {doubled[0][1]}: expected each key once, got {doubled[0][0]!r} again")
    entries, loses = {}, bool(set(document.value) - _KEYS) or _REMARK.search(data) is not None
    for key, values in jobs.items():
        try:
            state, unknown = entry.from_mapping(values)
        except ValueError as error:
            raise ValueError(f"line {document.line(('jobs', key))}, job {key}: {error}") from error
        entries[str(key)] = entry.render(str(key), state)
        loses = loses or bool(unknown)
    return entries, loses


def _check_end(data: bytes) -> None:
    """YAML cut between two lines often is YAML; the end marker that goes with `---` tells."""
    if data.startswith(b"---") and not re.search(rb"\n\.\.\.\s*(?:#[^\n]*\s*)*\Z", data):
        raise ValueError(f"expected the end marker '...' after {len(data)} bytes; the file is cut")
