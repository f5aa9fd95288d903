"""CSV: a row for each message, with a column for each element of its source, or its bytes in hexadecimal digits."""

import csv
from pathlib import Path

from ..archive.reader import LogArchiveReader
from ..archive.typed import columns_of
from .chunks import message_chunks, typed_chunks


def write(reader: LogArchiveReader, destination: Path, _facts: dict[str, str]) -> None:
    """Write `time_us` (UTC) and the values; floats so that they read back as they were."""
    with destination.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        if reader.source is None:
            rows.writerow(["time_us", "payload_hex"])
            for messages in message_chunks(reader):
                rows.writerows((int(message.timestamp_us), message.payload.tobytes().hex()) for message in messages)
            return
        rows.writerow(columns_of(reader.timestamps[:0], reader.arrays(0, 0), reader.source))
        for times, values in typed_chunks(reader, reader.source):
            columns = columns_of(times, values, reader.source).values()
            rows.writerows(zip(*(column.tolist() for column in columns), strict=True))
