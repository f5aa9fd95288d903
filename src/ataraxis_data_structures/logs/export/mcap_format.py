"""MCAP: the bytes of the messages, or, of a described source, JSON with a schema that viewers of robots' logs know."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..archive.reader import LogArchiveReader
from ..archive.typed import field_arrays
from ..descriptions import SourceDescription
from .chunks import is_numeric, typed_chunks

_LISTED = 1024  # values a message that are spelled as numbers; more are base64
_TYPES = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}


def write(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    """Write one channel, `source/NUMBER`; ValueError for times that need more than 64 bits of nanoseconds."""
    from mcap.writer import Writer  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    with destination.open("wb") as stream:
        writer: Any = Writer(stream)
        writer.start(library="ataraxis-data-structures")
        (_write_bytes if reader.source is None else _write_values)(reader, writer, facts)
        writer.add_metadata("log", facts)
        writer.finish()


def _write_bytes(reader: LogArchiveReader, writer: Any, facts: dict[str, str]) -> None:
    channel = writer.register_channel(
        topic=f"source/{facts['source']}", message_encoding="application/octet-stream", schema_id=0, metadata=facts
    )
    for number, message in enumerate(reader.iter_messages()):
        _add(reader, writer, channel, number, int(message.timestamp_us), message.payload.tobytes())


def _write_values(reader: LogArchiveReader, writer: Any, facts: dict[str, str]) -> None:
    source = reader.source
    assert source is not None  # noqa: S101 for the type checker
    name, schema, encode = _form_of(source)
    schema_id = writer.register_schema(name=name, encoding="jsonschema", data=json.dumps(schema).encode())
    channel = writer.register_channel(
        topic=f"source/{source.name}", message_encoding="json", schema_id=schema_id, metadata=facts
    )
    number = 0
    for times, values in typed_chunks(reader, source):
        for time_us, value in zip(times.tolist(), values, strict=True):
            _add(reader, writer, channel, number, time_us, json.dumps(encode(time_us, value)).encode())
            number += 1


def _add(reader: LogArchiveReader, writer: Any, channel: int, number: int, time_us: int, data: bytes) -> None:
    time_ns = time_us * 1000
    if time_ns >> 64:
        raise ValueError(
            f"expected times that MCAP can hold (nanoseconds in 64 bits: before the year 2554), got "
            f"{time_us} us in {reader.archive_path.name}"
        )
    writer.add_message(channel, log_time=time_ns, data=data, publish_time=time_ns, sequence=number)


Encode = Callable[[int, NDArray[Any]], dict[str, Any]]


def _form_of(source: SourceDescription) -> tuple[str, dict[str, Any], Encode]:
    """Return the name of the schema, the schema, and what makes a message of a time and an array."""
    if source.dtype == np.uint8 and len(source.shape) == 2:
        return "foxglove.RawImage", _IMAGE, _image_encoder(source)
    properties = {"time_us": {"type": "integer"}}
    for name, part in field_arrays(np.empty((1, *source.shape), source.dtype), source):
        properties[name] = _schema_of(part[0])
    return f"axds.{source.name}", {"type": "object", "properties": properties}, _value_encoder(source)


def _schema_of(part: NDArray[Any]) -> dict[str, Any]:
    if not is_numeric(part.dtype) or part.size > _LISTED:
        return {"type": "string", "contentEncoding": "base64"}
    kind: dict[str, Any] = {"type": _TYPES[part.dtype.kind]}
    for _ in range(part.ndim):
        kind = {"type": "array", "items": kind}
    return kind


def _value_encoder(source: SourceDescription) -> Encode:
    def encode(time_us: int, value: NDArray[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"time_us": time_us}
        for name, part in field_arrays(np.asarray(value)[None], source):
            is_listed = is_numeric(part.dtype) and part[0].size <= _LISTED
            found[name] = _listed(part[0]) if is_listed else base64.b64encode(part[0].tobytes()).decode()
        return found

    return encode


def _listed(part: NDArray[Any]) -> Any:
    """Return numbers as JSON spells them: it knows neither NaN nor infinities, which are null."""
    if part.dtype.kind != "f" or np.isfinite(part).all():
        return part.tolist()
    return np.where(np.isfinite(part), part.astype(object), None).tolist()


_IMAGE = {
    "type": "object",
    "properties": {
        "timestamp": {"type": "object", "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}}},
        "frame_id": {"type": "string"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "encoding": {"type": "string"},
        "step": {"type": "integer"},
        "data": {"type": "string", "contentEncoding": "base64"},
    },
}


def _image_encoder(source: SourceDescription) -> Encode:
    height, width = source.shape

    def encode(time_us: int, value: NDArray[Any]) -> dict[str, Any]:
        return {
            "timestamp": {"sec": time_us // 10**6, "nsec": time_us % 10**6 * 1000},
            "frame_id": source.name, "width": width, "height": height, "encoding": "mono8", "step": width,
            "data": base64.b64encode(np.ascontiguousarray(value)).decode(),
        }  # fmt: skip

    return encode
