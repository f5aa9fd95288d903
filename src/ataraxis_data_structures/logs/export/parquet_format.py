"""Parquet: a row for each message, with its bytes or with a column for each field of its source."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..archive.reader import LogArchiveReader
from ..archive.typed import field_arrays
from .chunks import is_numeric, message_chunks, typed_chunks


def write(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    """Write an archive: `timestamp_us`, and `payload` or the values."""
    import pyarrow as pa  # type: ignore[import, unused-ignore]  # noqa: PLC0415
    import pyarrow.parquet as pq  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    fields = [pa.field("timestamp_us", pa.uint64(), nullable=False)]
    source = reader.source
    if source is None:
        fields.append(pa.field("payload", pa.binary(), nullable=False))
    else:
        empty = np.empty((0, *source.shape), source.dtype)
        fields += [pa.field(name, _arrow_type(pa, values)) for name, values in field_arrays(empty, source)]
    schema = pa.schema(fields, metadata=facts)
    # Payloads seldom repeat: a dictionary and bounds of them would be copies for nothing.
    options = {"use_dictionary": False, "write_statistics": ["timestamp_us"]}
    with pq.ParquetWriter(destination, schema, **options) as file:
        if source is None:
            for messages in message_chunks(reader):
                columns = [
                    pa.array([int(message.timestamp_us) for message in messages], pa.uint64()),
                    _blobs(pa, messages),
                ]
                file.write_table(pa.Table.from_arrays(columns, schema=schema))
            return
        for times, values in typed_chunks(reader, source):
            columns = [pa.array(times), *(_column(pa, part) for _, part in field_arrays(values, source))]
            file.write_table(pa.Table.from_arrays(columns, schema=schema))


def _blobs(pa: Any, messages: list[Any]) -> Any:
    # From buffers: a builder that doubles its room would take the heap apart.
    offsets = np.cumsum([0, *(message.payload.size for message in messages)], dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(message.payload for message in messages))]
    return pa.Array.from_buffers(pa.binary(), len(messages), buffers)


def _arrow_type(pa: Any, values: NDArray[Any]) -> Any:
    kind = values.dtype
    inner = pa.from_numpy_dtype(kind.newbyteorder("=")) if is_numeric(kind) else pa.binary(kind.itemsize)
    return inner if values.ndim == 1 else pa.list_(inner, int(np.prod(values.shape[1:])))


def _column(pa: Any, values: NDArray[Any]) -> Any:
    kind = values.dtype
    flat = np.ascontiguousarray(values).reshape(-1)
    if is_numeric(kind):
        column = pa.array(flat.astype(kind.newbyteorder("="), copy=False))
    else:
        column = pa.Array.from_buffers(pa.binary(kind.itemsize), len(flat), [None, pa.py_buffer(flat.tobytes())])
    return column if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(column, int(np.prod(values.shape[1:])))
