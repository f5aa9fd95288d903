"""Archives into the formats of other programs; their libraries come with the extra `export`, imported where used."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .reader import LogArchiveReader, LogMessage

# What is held in memory at a time: a format's library makes two or three copies of it.
_MESSAGES_AT_ONCE = 8192
_BYTES_AT_ONCE = 16 * 2**20
_HDF5_ATTRIBUTE_BYTES = 60_000  # the format has room for 64 KiB
_HDF5_CHUNK_BYTES = 256 * 1024  # each chunk costs an entry of an index, and a call when it is read


def export_archive(archive: LogArchiveReader | Path, destination: Path) -> None:
    """Write the messages of an archive into a `.parquet`, `.h5` (or `.hdf5`) or `.mcap` file, some MiB at a time.

    Onset, source, sessions and the number of dropped messages stand in the metadata. The extra `export` installs what
    is needed; ImportError without it.
    """
    reader = archive if isinstance(archive, LogArchiveReader) else LogArchiveReader(archive)
    writer = _WRITERS.get(Path(destination).suffix)
    if writer is None:
        raise ValueError(f"expected a destination ending in {', '.join(_WRITERS)}, got {destination}")
    facts = {"onset_us": str(int(reader.onset_timestamp_us)), "source": reader.archive_path.name.partition("_")[0]}
    if reader.sessions:
        facts["dropped"] = str(reader.drops)
        facts["sessions"] = json.dumps([session.document() for session in reader.sessions])
    writer(reader, Path(destination), facts)


def _chunks(reader: LogArchiveReader) -> Iterator[list[LogMessage]]:
    some: list[LogMessage] = []
    size = 0
    for message in reader.iter_messages():
        if some and (size + message.payload.size > _BYTES_AT_ONCE or len(some) == _MESSAGES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(message)
        size += message.payload.size
    if some:
        yield some


def _write_parquet(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    import pyarrow as pa  # type: ignore[import, unused-ignore]  # noqa: PLC0415
    import pyarrow.parquet as pq  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    fields = [pa.field("timestamp_us", pa.uint64(), nullable=False), pa.field("payload", pa.binary(), nullable=False)]
    schema = pa.schema(fields, metadata=facts)
    # Payloads seldom repeat: a dictionary and bounds of them would be copies for nothing.
    options = {"use_dictionary": False, "write_statistics": ["timestamp_us"]}
    with pq.ParquetWriter(destination, schema, **options) as file:
        for messages in _chunks(reader):
            times = pa.array([int(message.timestamp_us) for message in messages], pa.uint64())
            # From buffers: a builder that doubles its room would take the heap apart.
            offsets = np.cumsum([0, *(message.payload.size for message in messages)], dtype=np.int32)
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(message.payload for message in messages))]
            payloads = pa.Array.from_buffers(pa.binary(), len(messages), buffers)
            file.write_table(pa.Table.from_arrays([times, payloads], schema=schema))


def _write_hdf5(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    """Write `timestamps_us`, all payloads end to end in `payloads`, and in `offsets` where each starts and ends."""
    import h5py  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    with h5py.File(destination, "w") as file:
        file.attrs["onset_us"] = np.uint64(facts["onset_us"])
        file.attrs["source"] = facts["source"]
        for name in facts.keys() & {"dropped", "sessions"}:
            if len(facts[name]) < _HDF5_ATTRIBUTE_BYTES:
                file.attrs[name] = facts[name]
            else:
                file.create_dataset(name, data=facts[name])
        words = {"maxshape": (None,), "chunks": (_HDF5_CHUNK_BYTES // 8,)}
        times = file.create_dataset("timestamps_us", (0,), "u8", **words)
        offsets = file.create_dataset("offsets", (1,), "u8", **words)
        payloads = file.create_dataset("payloads", (0,), "u1", maxshape=(None,), chunks=(_HDF5_CHUNK_BYTES,))
        for messages in _chunks(reader):
            _append(times, np.array([message.timestamp_us for message in messages], np.uint64))
            ends = np.cumsum([len(message.payload) for message in messages], dtype=np.uint64)
            _append(offsets, ends + np.uint64(payloads.shape[0]))
            _append(payloads, np.concatenate([message.payload for message in messages]))


def _append(dataset: Any, values: Any) -> None:
    start = dataset.shape[0]
    dataset.resize((start + len(values),))
    dataset[start:] = values


def _write_mcap(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    from mcap.writer import Writer  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    with destination.open("wb") as stream:
        writer: Any = Writer(stream)
        writer.start(library="ataraxis-data-structures")
        channel = writer.register_channel(
            topic=f"source/{facts['source']}", message_encoding="application/octet-stream", schema_id=0, metadata=facts
        )
        for number, message in enumerate(reader.iter_messages()):
            time_ns = int(message.timestamp_us) * 1000
            if time_ns >> 64:
                raise ValueError(
                    f"expected times that MCAP can hold (nanoseconds in 64 bits: before the year 2554), got "
                    f"{message.timestamp_us} us in {reader.archive_path.name}"
                )
            data = message.payload.tobytes()
            writer.add_message(channel, log_time=time_ns, data=data, publish_time=time_ns, sequence=number)
        writer.add_metadata("log", facts)
        writer.finish()


_WRITERS: dict[str, Callable[[LogArchiveReader, Path, dict[str, str]], None]] = {
    ".parquet": _write_parquet,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".mcap": _write_mcap,
}
