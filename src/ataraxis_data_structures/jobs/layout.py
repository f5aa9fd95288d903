"""The file of a tracker: contract text up to one page, pages of 4096 bytes beyond it.

    page 0     ---                      every page holds whole entries, then room for them to grow, kept
               file_path: .             by a comment or a blank line; so a changed entry is one write
               jobs:                    inside one page, which a kill cannot tear, and no entry ever
                 <entry> ... #    #     changes its page until the file is laid out anew
    page 1..     <entry> ... #    #
    last         <entry> ... #    #
               lock_path: ''
               ...

A file that fits into one page carries no room and is byte for byte what the published library writes. An entry longer
than a page has pages of its own; it is changed by laying out anew.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from .entry import ENTRY, job_id

PAGE = 4096
_HEAD = b"---\nfile_path: .\njobs:\n"
_TAIL = b"lock_path: ''\n...\n"
_EMPTY = b"---\nfile_path: .\njobs: {}\nlock_path: ''\n...\n"
_FILL = rb"(?:# *#?\n|\n)*+"
_LINE = rb"""(?:'[ !-&(-~\x80-\xff]*'|"[ !#-\[\]-~\x80-\xff]*"|[$()+./0-9;<=A-Z\\^_a-z~][ !"$-9;-~\x80-\xff]*)"""
_ANY_HEAD = re.compile(rb"---\n(?:file_path: " + _LINE + rb"\n)?jobs:( \{\})?\n" + _FILL)
_ANY_TAIL = re.compile(_FILL + rb"((?:lock_path: " + _LINE + rb"\n)?\.\.\.\n)\n*+")
_ROOM = re.compile(_FILL)
# What YAML refuses (controls, surrogates), takes for the end of a line, or for the mark of an encoding.
_NOT_LAYOUT = re.compile("[^\\n\\t -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
# What a run adds to an entry that has none yet: an executor, two stamps, a line of error.
_GROWTH = ((b"executor_id: null\n", 28), (b"started_at: null\n", 12), (b"completed_at: null\n", 12), (b"e: null\n", 80))


class Place(NamedTuple):
    """An entry and where it starts."""

    raw: bytes
    start: int


def contract(entries: Iterable[bytes]) -> bytes:
    """Return the text without room."""
    body = b"".join(entries)
    return _HEAD + body + _TAIL if body else _EMPTY


def lay_out(entries: list[bytes]) -> bytes:
    """Return the text of a file that holds `entries`."""
    if len(_HEAD) + sum(map(len, entries)) + len(_TAIL) <= PAGE:
        return contract(entries)
    parts, page, used, wanted = [], [_HEAD], len(_HEAD), len(_HEAD)
    for raw in entries:
        want = len(raw) + sum(size for text, size in _GROWTH if text in raw)
        if wanted + want > PAGE and used:
            parts += [*page, room(-used % PAGE)]
            page, used, wanted = [], 0, 0
        page.append(raw)
        used, wanted = used + len(raw), wanted + want
    if used + len(_TAIL) > PAGE:
        parts += [*page, room(-used % PAGE)]
        page, used = [], 0
    return b"".join([*parts, *page, room(PAGE - used - len(_TAIL)), _TAIL])


def room(size_bytes: int) -> bytes:
    """Return that much YAML without a meaning."""
    if size_bytes < 3:
        return (b"", b"\n", b"#\n")[size_bytes]
    return b"#" + b" " * (size_bytes - 3) + b"#\n"


def scan(data: bytes) -> dict[str, Place] | None:
    """Return every entry of a file in the layout by its id, in order; None if any byte is not of the layout."""
    head = _ANY_HEAD.match(data)
    if head is None:
        return None
    places, position = _entries(data, head.end())
    if places is None or (head[1] and places):
        return None
    tail = _ANY_TAIL.fullmatch(data, position)
    return places if tail and (places or head[1]) and _is_text(data) else None


class Page(NamedTuple):
    """One page of a file in the layout, or the whole of a small one."""

    number: int
    head: bytes
    entries: dict[str, Place]
    tail: bytes

    def holding(self, job_id: str, raw: bytes) -> bytes | None:
        """Return the text of this page with another entry for a job; None if it has no room for it."""
        parts = [raw if name == job_id else place.raw for name, place in self.entries.items()]
        body = self.head + b"".join(parts)
        free = PAGE - len(body) - len(self.tail)
        return None if free < 0 else body + room(free) + self.tail


def count(data: bytes) -> Counter[int] | None:
    """Return how many entries of a file in the layout have each status, at the price of one pass; else None."""
    head = _ANY_HEAD.match(data)
    position, names, digits = head.end() if head else 0, set(), bytearray()
    while head and (match := ENTRY.match(data, position)):
        names.add(match[2])
        digits += match[5]
        position = match.end()
    if (
        head is None
        or len(names) != len(digits)
        or bool(head[1]) == bool(names)
        or not _ANY_TAIL.fullmatch(data, position)
        or not _is_text(data)
    ):
        return None
    return Counter(digit - ord("0") for digit in digits)


def scan_page(number: int, data: bytes, *, is_last: bool) -> Page | None:
    """Return one page of a file; None if a part of it is not of the layout."""
    start = _ROOM.match(data) if number else _ANY_HEAD.match(data)
    if start is None:
        return None
    places, position = _entries(data, start.end())
    tail = _ANY_TAIL.fullmatch(data, position)
    if not places or (tail is None if is_last else position < len(data)) or not _is_text(data):
        return None
    return Page(number, data[: start.end()], places, tail[1] if tail else b"")


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return True  # the grammar holds no control character
    try:
        return _NOT_LAYOUT.search(data.decode()) is None
    except UnicodeDecodeError:
        return False


def _entries(data: bytes, position: int) -> tuple[dict[str, Place] | None, int]:
    places: dict[str, Place] = {}
    while match := ENTRY.match(data, position):
        name = job_id(match)
        if name in places:  # which of the two counts is not for us to say
            return None, position
        places[name] = Place(match[1], match.start())
        position = match.end()
    return places, position
