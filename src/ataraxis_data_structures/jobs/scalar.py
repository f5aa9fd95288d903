"""One YAML scalar of a tracker's file, written as PyYAML writes it, but quickly."""

import re

import yaml

from ..config.encode import dump
from ..config.load import compose

NULLS = frozenset({"null", "Null", "NULL", "~", ""})  # how people write that there is no value

_ASCII = re.compile(r"[ -~]+")
# What PyYAML's analysis takes for an indicator outside flow collections.
_INDICATOR = re.compile(r"""^[#,\[\]{}&*!|>'"%@`]|^[?:-](?: |$)|^---|^\.\.\.|:(?: |$)| #|^ | $""")
# A word that is longer than any that YAML takes for a truth value or null.
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{5,100}")
_FOLDS_AT = 170  # characters; the layout's width is 200, and a key stands before the value
_RESOLVERS: dict[str | None, list[tuple[str, re.Pattern[str]]]] = yaml.SafeDumper.yaml_implicit_resolvers
_ANYWHERE = _RESOLVERS.get(None, [])


def write(key: str, value: str | None) -> str:
    """Return `value` as it stands behind `key` in a job's entry."""
    if value is None:
        return "null"
    if _WORD.fullmatch(value):
        return value
    if not _ASCII.fullmatch(value):
        return _by_pyyaml(key, value)
    text = value
    if _INDICATOR.search(value) or _is_other_type(value):
        text = "'" + value.replace("'", "''") + "'"
    return text if len(text) < _FOLDS_AT or " " not in text else _by_pyyaml(key, value)


def read(raw: bytes) -> str:
    """Return what a scalar says, its lines still indented.

    Without quotes it is the text as it was written, also where YAML would see a number, a date or a truth value.
    """
    text = raw.decode()
    if text[0] == "'" and "\n" not in text:
        return text[1:-1].replace("''", "'")
    if _ASCII.fullmatch(text) and not _INDICATOR.search(text):
        return text
    root = compose(b"value: " + raw)
    return str(root.value[0][1].value) if root else ""


def read_optional(raw: bytes) -> str | None:
    """Return what a scalar says, None for YAML's null."""
    return None if raw.decode() in NULLS else read(raw)


def _is_other_type(text: str) -> bool:
    """Whether the text, unquoted, would read as a number, a date, a truth value or null."""
    return any(pattern.match(text) for _, pattern in _RESOLVERS.get(text[0], _ANYWHERE))


def _by_pyyaml(key: str, value: str) -> str:
    text = dump({"jobs": {"id": {key: value}}})
    return text.removeprefix(f"---\njobs:\n  id:\n    {key}: ").removesuffix("\n...\n")
