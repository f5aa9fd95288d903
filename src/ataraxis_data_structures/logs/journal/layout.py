"""The bytes of a journal around its records: name, header page, checkpoints. _core/include/frame.h draws the record.

    0     magic "AXDSJRNL"    u32 version    u32 salt    u64 queue id    u32 number    u32 storage
    32    u64 created (UTC us)    16 bytes boot id    u32 bytes of this page    u32 CRC-32C of all before
    1024  words that change: see WORDS
    2048  the first 64 bytes again, so that one bad sector does not hide the salt
    4096  records, to the end of the file or to `end`

A checkpoint's payload holds the totals of this file up to it; the last record of a journal that was closed is a footer:

    u64 offset of the checkpoint before (0: none)    u32 sources    u32 claims
    for each source: u64 source, messages, bytes, dropped        for each claim: u64 claim, next seq
    u64 offset of this record
"""

import os
import re
import struct
from collections.abc import Iterable, Mapping
from enum import IntFlag
from pathlib import Path
from typing import NamedTuple

from ..._core import frame

HEADER_BYTES = 4096
SUFFIX = ".axj"
VERSION = 1
NPY, JOURNAL = 1, 2  # storage
CHECKPOINT_BYTES = 64 * 2**20  # from one checkpoint to the next

_MAGIC = b"AXDSJRNL"
_FIELDS = struct.Struct("<8sIIQIIQ16sI")
_CHECK = struct.Struct("<I")
_COPIES = (0, 2048)
_NAME = re.compile(r"journal-([0-9a-f]{16})-(\d{4,})\.axj")
_TOTALS = struct.Struct("<QII")
_SOURCE = struct.Struct("<4Q")
_CLAIM = struct.Struct("<2Q")
_OFFSET = struct.Struct("<Q")


class Words:
    """Where the words that change lie in the header page, as indices of 8 bytes."""

    TAIL = 128  # where the last append began: a successor looks from here for what is written already
    END = 129  # where the records end, if a torn tail follows; END_CHECK is its complement, so that a bad bit shows
    END_CHECK = 130
    EXPANDED = 131  # npy: every record before this offset has its file; bit 0: the name of this one's file is chosen
    SUFFIX = 132  # npy: the chosen name's suffix
    COUNTED = 133  # what others read as written includes the records before this offset
    UNSYNCED = 134  # see Unsynced


class Unsynced(IntFlag):
    """What a sync failed of, so that it may be in memory alone and is written anew before it is synced again."""

    JOURNAL = 1
    FILES = 2  # those that were made from its messages


class Header(NamedTuple):
    """What a journal says about itself once and for all."""

    queue_id: int
    number: int
    salt: int
    storage: int
    created_us: int
    boot_id: bytes

    @property
    def name(self) -> str:
        """The journal's file name."""
        return f"journal-{self.queue_id:016x}-{self.number:04d}{SUFFIX}"

    def pack(self) -> bytes:
        """Return the header page."""
        fields = _FIELDS.pack(
            _MAGIC, VERSION, self.salt, self.queue_id, self.number, self.storage,
            self.created_us, self.boot_id, HEADER_BYTES,
        )  # fmt: skip
        block = fields + _CHECK.pack(frame.crc32c(fields))
        page = bytearray(HEADER_BYTES)
        for start in _COPIES:
            page[start : start + len(block)] = block
        struct.pack_into("<Q", page, 8 * Words.TAIL, HEADER_BYTES)
        struct.pack_into("<Q", page, 8 * Words.EXPANDED, HEADER_BYTES)
        return bytes(page)


def parse_header(page: bytes) -> Header | None:
    """Return the header that a file's first page holds, or None if no copy of it is whole."""
    size = _FIELDS.size + _CHECK.size
    for start in _COPIES:
        block = page[start : start + size]
        if len(block) < size or frame.crc32c(block[: _FIELDS.size]) != _CHECK.unpack_from(block, _FIELDS.size)[0]:
            continue
        magic, version, salt, queue_id, number, storage, created_us, boot_id, page_bytes = _FIELDS.unpack_from(block)
        if (magic, version, page_bytes) == (_MAGIC, VERSION, HEADER_BYTES):
            return Header(queue_id, number, salt, storage, created_us, boot_id)
    return None


def parse_name(path: Path) -> tuple[int, int] | None:
    """Return (queue id, number) of a journal's file name, None for any other name."""
    found = _NAME.fullmatch(path.name)
    return (int(found[1], 16), int(found[2])) if found else None


def list_journals(directory: Path) -> list[Path]:
    """Return the files of a directory that are named as journals are, in any order."""
    with os.scandir(directory) as found:  # among a million message files, a Path for each would take seconds
        names = [entry.name for entry in found if entry.name.endswith(SUFFIX) and entry.is_file()]
    return [directory / name for name in names if _NAME.fullmatch(name)]


class Totals(NamedTuple):
    """What a checkpoint or footer says of the file before it."""

    previous: int
    sources: dict[int, tuple[int, int, int]]  # source -> messages, bytes, dropped
    claims: dict[int, int]  # claim -> seq of its next record


def pack_totals(
    previous: int, sources: Iterable[tuple[int, int, int, int]], claims: Mapping[int, int], offset: int
) -> bytes:
    """Return the payload of a checkpoint whose record starts at `offset`; rows of `sources` as in Totals."""
    rows = list(sources)
    return b"".join(
        (
            _TOTALS.pack(previous, len(rows), len(claims)),
            *(_SOURCE.pack(*row) for row in rows),
            *(_CLAIM.pack(claim, seq) for claim, seq in claims.items()),
            _OFFSET.pack(offset),
        )
    )


def parse_totals(payload: bytes | memoryview) -> Totals | None:
    """Return what `pack_totals` packed; None for anything else, which a check sum alone does not rule out."""
    if len(payload) < _TOTALS.size:
        return None
    previous, n_sources, n_claims = _TOTALS.unpack_from(payload)
    start = _TOTALS.size
    stop = start + n_sources * _SOURCE.size
    end = stop + n_claims * _CLAIM.size
    if len(payload) != end + _OFFSET.size:
        return None
    sources = {row[0]: row[1:] for row in _SOURCE.iter_unpack(payload[start:stop])}
    if any(source > 255 or max(counts) >> 63 for source, counts in sources.items()):
        return None
    return Totals(previous, sources, dict(_CLAIM.iter_unpack(payload[stop:end])))


def footer_of(buffer: memoryview, salt: int, stop: int) -> Totals | None:
    """Return the footer that ends exactly at `stop`, None if the journal was not closed."""
    if stop < HEADER_BYTES + frame.RECORD_BYTES + _OFFSET.size:
        return None
    (start,) = _OFFSET.unpack_from(buffer, stop - _OFFSET.size)
    if not HEADER_BYTES <= start <= stop - frame.RECORD_BYTES or start % 8:
        return None
    row = frame.Scanner(buffer, salt, start=start, stop=stop).next(1)
    offset, _, _, length, claim, _, flags = struct.unpack_from("<3Q2I2B", row or bytes(40))
    whole = (offset, flags, claim) == (start, frame.FOOTER, 0) and start + frame.span(length) == stop
    return parse_totals(buffer[start + frame.RECORD_BYTES : start + frame.RECORD_BYTES + length]) if whole else None
