"""Print messages of a log by time, as values where their source is described.

A line has the time (UTC), the source and the value; of an array of more than 16
values it has shape and range. Bytes of a source that was not described are
hexadecimal. --json prints a JSON document with all values for each message.

Example:
    axds log cat /data/rig_data_log --source encoder --from 10 --to 12
"""

import argparse
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...logs.archive.batches import merge_archives
from ...logs.archive.reader import LogArchiveReader, LogMessage
from ..terminal import print_line
from .inspection.archives import chosen_archives, first_onset_us
from .inspection.options import add_choice, time_range_us

_MOST_VALUES = 16
_MOST_BYTES = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("directory", type=Path, help="the log's directory, or one of its archives")
    add_choice(parser)
    parser.add_argument("--count", type=_whole, metavar="N", help="end after so many messages")
    parser.add_argument("--json", action="store_true", help="print a JSON document in a line for each message")


def run(arguments: argparse.Namespace) -> int:
    """Print the messages."""
    readers = chosen_archives(arguments.directory, arguments.source)
    names = {reader.archive_path: name for name, reader in readers.items()}
    show = _as_json if arguments.json else _as_text
    for reader, message in islice(_messages(arguments, readers), arguments.count):
        print_line(show(names[reader.archive_path], reader, message))
    return 0


def _messages(
    arguments: argparse.Namespace, readers: dict[str, LogArchiveReader]
) -> Iterator[tuple[LogArchiveReader, LogMessage]]:
    first, last = time_range_us(arguments, first_onset_us(readers))
    for reader, message in merge_archives([*readers.values()]):
        if first <= int(message.timestamp_us) < last:
            yield reader, message


def _as_json(name: str, reader: LogArchiveReader, message: LogMessage) -> str:
    document: dict[str, Any] = {"time_us": int(message.timestamp_us), "source": name}
    values = _values(reader, message)
    document |= {"hex": message.payload.tobytes().hex()} if values is None else {"value": _plain(values)}
    return json.dumps(document, allow_nan=False)


def _as_text(name: str, reader: LogArchiveReader, message: LogMessage) -> str:
    values = _values(reader, message)
    if values is None:
        data = message.payload.tobytes()
        rest = f" … {len(data):,} bytes" if len(data) > _MOST_BYTES else ""
        shown = data[:_MOST_BYTES].hex(" ") + rest
    elif values.size > _MOST_VALUES:
        of = f", {values.min()} to {values.max()}" if values.dtype.kind in "biuf" else ""
        shown = f"{values.dtype} of {' x '.join(map(str, values.shape))}{of}"
    else:
        plain = _plain(values)
        shown = plain if isinstance(plain, str) else json.dumps(plain)
    unit = f" {reader.source.unit}" if reader.source is not None and reader.source.unit else ""
    return f"{_time(int(message.timestamp_us))}  {name}  {shown}{unit}"


def _values(reader: LogArchiveReader, message: LogMessage) -> np.ndarray[Any, Any] | None:
    """Return what a message holds as its source declares it; None for another length, or without a description."""
    source = reader.source
    if source is None or message.payload.size != source.size_bytes:
        return None
    return message.payload.view(source.dtype).reshape(source.shape)


def _plain(values: np.ndarray[Any, Any]) -> Any:
    if values.dtype.names is not None:
        if values.ndim:
            return [_plain(one) for one in values]
        return {name: _plain(np.asarray(values[name])) for name in values.dtype.names}
    return _jsonable(values.tolist())


def _jsonable(value: Any) -> Any:
    """Return a value as JSON has it: a number that is none as text, bytes as text, times in ISO 8601."""
    if isinstance(value, list):
        return [_jsonable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, complex):
        return [_jsonable(value.real), _jsonable(value.imag)]
    return value if isinstance(value, str | int | float | None) else str(value)


def _time(time_us: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M:%S.%f")
    except OverflowError:
        return f"{time_us} us"


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text}")
    return value
