"""Zarr: a group with the times and the values of the source in their shape, read by ranges over a network."""

from pathlib import Path

import numpy as np

from ..archive.reader import LogArchiveReader
from .chunks import typed_chunks

_CHUNK_BYTES = 4 * 2**20  # a request over a network costs as much as reading so many bytes


def write(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    """Write a group of `timestamps_us` and `values`; ValueError for a source that was not described."""
    import zarr  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    source = reader.source
    if source is None:
        raise ValueError(
            f"expected a described source for Zarr, got {reader.archive_path.name}: its payloads have no type"
        )
    group = zarr.open_group(destination, mode="w")
    told = {"name": source.name, "unit": source.unit, "rate_hz": source.rate_hz}
    group.attrs.update(facts | told)
    count = len(reader)
    rows = max(1, _CHUNK_BYTES // source.size_bytes)
    times = group.create_array("timestamps_us", shape=(count,), dtype="uint64", chunks=(max(1, min(count, 1 << 19)),))
    values = group.create_array(
        "values", shape=(count, *source.shape), dtype=source.dtype, chunks=(max(1, min(count, rows)), *source.shape)
    )
    done = 0
    for found_us, found in typed_chunks(reader, source):
        times[done : done + len(found)] = found_us
        values[done : done + len(found)] = np.ascontiguousarray(found)
        done += len(found)
