"""HDF5: the times, and all payloads end to end or the values of the source in their shape."""

from pathlib import Path
from typing import Any

import numpy as np

from ..archive.reader import LogArchiveReader
from .chunks import message_chunks, typed_chunks

_ATTRIBUTE_BYTES = 60_000  # the format has room for 64 KiB
_CHUNK_BYTES = 256 * 1024  # each chunk costs an entry of an index, and a call when it is read


def write(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    """Write `timestamps_us`, and `values` of a described source.

    Of another source, all payloads lie end to end in `payloads`, and `offsets` says where each starts and ends.
    """
    import h5py  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    with h5py.File(destination, "w") as file:
        file.attrs["onset_us"] = np.uint64(facts["onset_us"])
        file.attrs["source"] = facts["source"]
        for name in facts.keys() & {"dropped", "sessions", "description"}:
            if len(facts[name]) < _ATTRIBUTE_BYTES:
                file.attrs[name] = facts[name]
            else:
                file.create_dataset(name, data=facts[name])
        times = file.create_dataset("timestamps_us", (0,), "u8", maxshape=(None,), chunks=(_CHUNK_BYTES // 8,))
        (_write_bytes if reader.source is None else _write_values)(reader, file, times)


def _write_bytes(reader: LogArchiveReader, file: Any, times: Any) -> None:
    offsets = file.create_dataset("offsets", (1,), "u8", maxshape=(None,), chunks=(_CHUNK_BYTES // 8,))
    payloads = file.create_dataset("payloads", (0,), "u1", maxshape=(None,), chunks=(_CHUNK_BYTES,))
    for messages in message_chunks(reader):
        _append(times, np.array([message.timestamp_us for message in messages], np.uint64))
        ends = np.cumsum([len(message.payload) for message in messages], dtype=np.uint64)
        _append(offsets, ends + np.uint64(payloads.shape[0]))
        _append(payloads, np.concatenate([message.payload for message in messages]))


def _write_values(reader: LogArchiveReader, file: Any, times: Any) -> None:
    source = reader.source
    assert source is not None  # noqa: S101 for the type checker
    rows = max(1, _CHUNK_BYTES // source.size_bytes)
    kind = source.dtype if source.dtype.kind not in "mM" else np.dtype("i8")
    values = file.create_dataset(
        "values", (0, *source.shape), kind, maxshape=(None, *source.shape), chunks=(rows, *source.shape)
    )
    values.attrs.update({"name": source.name, "unit": source.unit, "type": str(source.dtype)})
    if source.rate_hz is not None:
        values.attrs["rate_hz"] = source.rate_hz
    for found_us, found in typed_chunks(reader, source):
        _append(times, found_us)
        _append(values, found if kind == source.dtype else found.view("i8"))


def _append(dataset: Any, values: Any) -> None:
    start = dataset.shape[0]
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values
