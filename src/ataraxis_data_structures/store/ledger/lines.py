r"""The ledger: an append-only text file whose lines are transactions.

    <crc> <json>\n

`crc` is the CRC-32 of the JSON's bytes in 8 lower-case hex digits, and the JSON is one object,
`{"by": "<pid>@<host>", "ops": [...], "seq": n, "t": microseconds}`, with sorted keys and no blanks. `seq` starts at 1
and rises by 1. A tail without line end is a torn write, which no reader takes and the next writer cuts.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from ...errors import DamagedError

_PREFIX_BYTES = 9
_BLOCK_LINES = 2048
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode
_decode = json.JSONDecoder().decode

Record = dict[str, Any]


def line_of(record: Record) -> bytes:
    """Return the line of a transaction.

    Raises:
        ValueError: A part can't be written as UTF-8 JSON.
    """
    body = _encode(record).encode()
    return b"%08x %b\n" % (crc32(body), body)


def record_of(line: bytes) -> Record | None:
    """Return the transaction of a line, with or without its end; None if its check or form is wrong."""
    body = line[_PREFIX_BYTES:].removesuffix(b"\n")
    try:
        if line[:_PREFIX_BYTES] != b"%08x " % crc32(body):
            return None
        record = _decode(body.decode())
    except (ValueError, RecursionError):
        return None
    return record if _is_record(record) else None


@dataclass(frozen=True)
class Bad:
    """Bytes of a ledger, from `start` to `stop`, in the place of line `seq`."""

    seq: int
    start: int
    stop: int
    is_tail: bool  # there is no good line in them, not even one of another number


def scan(data: bytes, *, seq: int = 0, start: int = 0) -> tuple[list[Record], int, Bad | None]:
    """Return the transactions of consecutive good lines, where they end, and what follows them if that is bad.

    Args:
        data: Bytes of the ledger from a line's first byte on.
        seq: The number of the line before them.
        start: Where in the ledger they begin.
    """
    records: list[Record] = []
    at = 0
    lines = data.split(b"\n")
    tail = lines.pop()
    for first in range(0, len(lines), _BLOCK_LINES):
        block = lines[first : first + _BLOCK_LINES]
        good = _records_of(block, seq)
        records += good
        seq += len(good)
        at += sum(map(len, block[: len(good)])) + len(good)
        if len(good) < len(block):
            break
    if at == len(data):
        return records, start + at, None
    is_tail = not any(map(record_of, data[at : len(data) - len(tail)].split(b"\n")))
    return records, start + at, Bad(seq + 1, start + at, start + len(data), is_tail)


def _records_of(lines: list[bytes], seq: int) -> list[Record]:
    """Return the transactions of lines without their ends, up to the first that is bad."""
    try:
        records = _parsed_at_once(lines)
    except (ValueError, RecursionError):
        records = [record_of(line) for line in lines]
    for place, record in enumerate(records):
        seq += 1
        if record is None or not _is_record(record) or record["seq"] != seq:
            return records[:place]  # type: ignore[return-value]
    return records  # type: ignore[return-value]


def _parsed_at_once(lines: list[bytes]) -> Sequence[Record | None]:
    """Return what the JSON of lines says, parsed in one call: three times as fast as line by line.

    Between two lines stands a word that nobody can foresee, so a line that is not one whole value is found.

    Raises:
        ValueError: The check of a line is wrong, or it is no JSON.
    """
    bodies = [line[_PREFIX_BYTES:] for line in lines]
    for line, body in zip(lines, bodies, strict=True):
        if line[:_PREFIX_BYTES] != b"%08x " % crc32(body):
            raise ValueError("expected the CRC-32 of the line")
    word = secrets.token_hex(8)
    between = f',\n"{word}",\n'
    parts = _decode(f"[{between.join([body.decode() for body in bodies])}]")
    if len(parts) != 2 * len(lines) - 1 or parts[1::2].count(word) != len(lines) - 1:
        raise ValueError("expected one value in each line")
    found: list[Record] = parts[::2]
    return found


def _is_record(record: Any) -> bool:
    return type(record) is dict and type(record.get("seq")) is int and type(record.get("ops")) is list


def damaged(bad: Bad, path: str) -> DamagedError:
    """Return the error for a line that is neither good nor a torn write."""
    return DamagedError(
        f"expected transaction {bad.seq} at byte {bad.start} of {path}, got a damaged line: "
        f"`axds store repair` takes it from the mirror",
        (path,),
    )
