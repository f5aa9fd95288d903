"""NWB: a TimeSeries of the source, in seconds since its onset; Neurodata Without Borders 2, through pynwb."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..archive.reader import LogArchiveReader
from ..descriptions import SourceDescription
from .chunks import is_numeric, typed_chunks

_JITTER_US = 1  # of a source that keeps its rate: times are whole microseconds


def write(reader: LogArchiveReader, destination: Path, facts: dict[str, str]) -> None:
    """Write a file with one TimeSeries; ValueError for a source whose values are not numbers, or not described."""
    import pynwb  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    source = reader.source
    if source is None or not is_numeric(source.dtype):
        raise ValueError(f"expected a described source of numbers for NWB, got {reader.archive_path.name}")
    onset_us = int(reader.onset_timestamp_us)
    session = reader.session
    file = pynwb.NWBFile(
        session_description=f"Source {source.name!r} of a log of ataraxis-data-structures",
        identifier=f"{session.id if session else onset_us}-{source.code}",
        session_start_time=datetime.fromtimestamp(onset_us / 1e6, UTC),
        subject=pynwb.file.Subject(**_subject(session.metadata if session else {})),
    )
    file.add_acquisition(
        pynwb.TimeSeries(
            name=source.name.replace("/", "_").replace(":", "_"),
            data=_data(reader, source),
            unit=source.unit or "n.a.",
            description=f"Recorded by source {source.code}",
            comments=facts["description"],
            **_times(reader.timestamps, onset_us, source),
        )
    )
    with pynwb.NWBHDF5IO(destination, "w") as stream:
        stream.write(file)


def _subject(metadata: dict[str, Any]) -> dict[str, str]:
    """Return what the session's metadata says of the animal; the format wants some of it in any case."""
    known = metadata.get("subject")
    told = known if isinstance(known, dict) else {"subject_id": known} if known else {}
    fields = {name: str(told[name]) for name in ("subject_id", "species", "sex", "age", "description") if name in told}
    return {"subject_id": "unknown", "species": "unknown", "sex": "U", "age": "P0D/", **fields}


def _times(times: NDArray[np.uint64], onset_us: int, source: SourceDescription) -> dict[str, Any]:
    """Return rate and starting time if the source kept its rate to the microsecond, else the times themselves."""
    elapsed = (times - np.uint64(onset_us)).astype(np.int64)
    if source.rate_hz is not None and len(elapsed) > 1:
        steps = np.arange(len(elapsed)) * (1e6 / source.rate_hz)
        if np.abs(elapsed - elapsed[0] - steps).max() <= _JITTER_US:
            return {"rate": source.rate_hz, "starting_time": float(elapsed[0] / 1e6)}
    return {"timestamps": elapsed / 1e6}


def _data(reader: LogArchiveReader, source: SourceDescription) -> Any:
    from hdmf.data_utils import DataChunkIterator  # type: ignore[import, unused-ignore]  # noqa: PLC0415

    def rows() -> Iterator[NDArray[Any]]:
        for _, values in typed_chunks(reader, source):
            yield from values

    if not len(reader):
        return np.empty((0, *source.shape), source.dtype)
    return DataChunkIterator(
        data=rows(), maxshape=(None, *source.shape), dtype=source.dtype, buffer_size=max(1, 2**22 // source.size_bytes)
    )
