r"""The ledger: an append-only text file whose lines are transactions.

    <crc> <json>\n

`crc` is the CRC-32 of the JSON's bytes in 8 lower-case hex digits, and the JSON is one object,
`{"by": "<pid>@<host>", "ops": [...], "seq": n, "t": microseconds}`, with sorted keys and no blanks. `seq` starts at 1
and rises by 1. A tail without line end is a torn write, which no reader takes and the next writer cuts.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from ...errors import DamagedError

_PREFIX_BYTES = 9
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
    if type(record) is not dict or type(record.get("seq")) is not int or type(record.get("ops")) is not list:
        return None
    return record


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
    for line in data.splitlines(keepends=True) if b"\r" not in data else _lines(data):
        record = record_of(line) if line.endswith(b"\n") else None
        if record is None or record["seq"] != seq + 1:
            is_tail = not any(other.endswith(b"\n") and record_of(other) for other in _lines(data[at:]))
            return records, start + at, Bad(seq + 1, start + at, start + len(data), is_tail)
        records.append(record)
        at += len(line)
        seq += 1
    return records, start + at, None


def _lines(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = data.find(b"\n", at) + 1 or len(data)
        yield data[at:end]
        at = end


def damaged(bad: Bad, path: str) -> DamagedError:
    """Return the error for a line that is neither good nor a torn write."""
    return DamagedError(
        f"expected transaction {bad.seq} at byte {bad.start} of {path}, got a damaged line: "
        f"`axds store repair` takes it from the mirror",
        (path,),
    )
