"""An archive opened for reading: its bytes, the rows of its directory, and the messages behind them."""

import io
import os
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._core import npz
from ..._core.bulk import MappedFile
from ...errors import ArchiveError
from .unpacking import unpack

ROW = np.dtype(npz.ROW)
SPAN = np.dtype(npz.SPAN)

_CHUNK_MESSAGES = 1024
_CHUNK_BYTES = 16 * 2**20  # checked ahead of what is handed out


class Contents:
    """The entries of one archive and their bytes; every fault is an ArchiveError that names the archive and entry.

    The file is mapped, or read into memory as a whole if `memory_mapping` is false. Views of its bytes keep the map
    alive, so there is nothing to close.
    """

    def __init__(self, path: Path, *, memory_mapping: bool = True) -> None:
        self.path = path
        self.bytes: NDArray[np.uint8] = _load(path, memory_mapping=memory_mapping)
        try:
            self.directory = npz.Directory(self.bytes)
        except ValueError as fault:
            raise self.error(str(fault)) from None
        self.rows: NDArray[Any] = np.frombuffer(self.directory.rows(), ROW)
        self.rows.flags.writeable = False
        if not self.directory.ordered:
            self._refuse_overlaps()

    def __len__(self) -> int:
        return len(self.directory)

    def error(self, what: str) -> ArchiveError:
        """Return the error that says what is wrong with this archive."""
        return ArchiveError(f"{self.path}: {what}")

    @cached_property
    def times(self) -> NDArray[np.uint64]:
        """The time of each entry, from its name; of a name that is not ours, from the stored bytes."""
        times: NDArray[np.uint64] = self.rows["time"].copy()
        foreign = np.flatnonzero(self.rows["kind"] & npz.OURS == 0)
        done = 0
        for found, _ in self.messages(foreign):
            times[foreign[done : done + len(found)]] = found
            done += len(found)
        return times

    @cached_property
    def sorted(self) -> bool:
        """Whether all names are ours and their times ascend."""
        times = self.rows["time"]
        return bool(np.all(self.rows["kind"] & npz.OURS) and np.all(times[:-1] <= times[1:]))

    def messages(
        self, indices: NDArray[np.intp], *, check: bool = True
    ) -> Iterator[tuple[NDArray[np.uint64], list[NDArray[np.uint8]]]]:
        """Yield stored times and read-only payload views of these entries, some at a time.

        `check` holds the stored bytes against their CRC-32 first.
        """
        indices = np.ascontiguousarray(indices)
        step = self._chunk_messages(indices)
        start = 0
        while start < len(indices):
            room, done, fault = self.directory.messages(indices[start : start + step], check=check)
            spans = np.frombuffer(room, SPAN, done)
            if done:
                yield spans["time"].copy(), self._views(spans)
            start += done
            if fault == "foreign":
                time, payload = self._foreign(int(indices[start]))
                yield np.array([time], np.uint64), [payload]
                start += 1
            elif fault:
                raise self.error(f"{self.directory.key(int(indices[start]))}: {fault}")

    def message(self, index: int) -> tuple[int, NDArray[np.uint8]]:
        """Return stored time and payload view of one entry."""
        ((times, payloads),) = self.messages(np.array([index], np.intp))
        return int(times[0]), payloads[0]

    def spans(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Return where the payloads of these entries lie in `bytes`; an entry that has to be unpacked is an error."""
        room, done, fault = self.directory.messages(indices, check=False)
        if fault:
            what = "the entry can't be viewed in place: it is compressed or was not saved as a log message"
            what = what if fault == "foreign" else fault
            raise self.error(f"{self.directory.key(int(indices[done]))}: {what}")
        return np.frombuffer(room, SPAN)

    def indices(self, keys: Sequence[str], hint: int = 0) -> NDArray[np.intp]:
        """Return the entries of these keys; those that follow one another are found fastest. KeyError for others."""
        keys = list(keys)
        found = np.empty(len(keys), np.intp)
        done = 0
        while done < len(keys):
            room, count = self.directory.indices(keys[done : done + 65536], hint)
            found[done : done + count] = np.frombuffer(room, np.intp, count)
            done, hint = done + count, hint + count
            if done < len(keys) and not self.directory.named(hint, keys[done]):
                hint = self._find(keys[done])
        return found

    def at_time(self, time: int) -> list[int]:
        """Return the entries of one time."""
        if not self.sorted:
            found: list[int] = np.flatnonzero(self.times == np.uint64(time)).tolist()
            return found
        wanted = np.array([time], np.uint64)
        first, last = (int(np.searchsorted(self.times, wanted, side)[0]) for side in ("left", "right"))
        return list(range(first, last))

    def file(self, index: int) -> bytes | NDArray[np.uint8]:
        """Return the whole .npy file of an entry, its CRC-32 checked; a view of the archive if it isn't compressed."""
        key = self.directory.key(index)
        try:
            start, size, unpacked = self.directory.stored(index)
        except ValueError as fault:
            raise self.error(str(fault)) from None
        data: bytes | NDArray[np.uint8] = self.bytes[start : start + size]
        if self.rows[index]["method"] != npz.STORED:
            try:
                data = unpack(int(self.rows[index]["method"]), data, unpacked)
            except ValueError as fault:
                raise self.error(f"{key}: {fault}") from None
        if zlib.crc32(data) != int(self.rows[index]["crc"]):
            raise self.error(f"{key}: the stored bytes do not match their CRC-32")
        return data

    def _foreign(self, index: int) -> tuple[int, NDArray[np.uint8]]:
        """Read an entry with whatever zlib and numpy understand."""
        key = self.directory.key(index)
        data = self.file(index)
        array = self._array(key, data)
        if array.ndim != 1 or array.dtype != np.uint8:
            raise self.error(f"{key}: expected a one-dimensional array of uint8, got {array.dtype} of {array.shape}")
        if array.size < npz.STAMP_BYTES:
            raise self.error(f"{key}: expected at least {npz.STAMP_BYTES} bytes, got {array.size}")
        return int.from_bytes(array[1 : npz.STAMP_BYTES].tobytes(), "little"), array[npz.STAMP_BYTES :]

    def _array(self, key: str, data: bytes | NDArray[np.uint8]) -> NDArray[Any]:
        known = npz.array_items(data)
        if known is not None:
            return np.frombuffer(data, np.uint8, known[1], known[0])
        stream = io.BytesIO(bytes(data[: 2**16 + 16]))
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            if dtype.hasobject:
                raise ValueError("it holds Python objects")  # noqa: TRY301  # one text for all that can't be read
            return np.frombuffer(data, dtype, int(np.prod(shape, dtype=np.int64)), stream.tell()).reshape(shape)
        except (ValueError, TypeError, OverflowError, SyntaxError, RecursionError) as fault:
            raise self.error(f"{key}: no .npy file that can be read: {fault}") from None

    def _views(self, spans: NDArray[Any]) -> list[NDArray[np.uint8]]:
        data = self.bytes
        starts = spans["start"].tolist()
        return [data[a:b] for a, b in zip(starts, (spans["start"] + spans["length"]).tolist(), strict=True)]

    def _chunk_messages(self, indices: NDArray[np.intp]) -> int:
        if not len(indices):
            return 1
        sizes = self.rows["size"][indices[:_CHUNK_MESSAGES]]
        return max(1, min(_CHUNK_MESSAGES, _CHUNK_BYTES // (int(sizes.max()) + 1)))

    def _find(self, key: str) -> int:
        name = npz.parse_name(key) if self.sorted else None
        if name is not None:
            for index in self.at_time(name[1]):
                if self.directory.named(index, key):
                    return index
            raise KeyError(key)
        return self._numbers[key.removesuffix(".npy")]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {key: index for index, key in enumerate(self.directory.keys(0, len(self)))}

    def _refuse_overlaps(self) -> None:
        order = np.argsort(self.rows["offset"], kind="stable")
        offsets, sizes = self.rows["offset"][order], self.rows["size"][order]
        heads = np.uint64(30) + self.rows["name_length"][order].astype(np.uint64)
        bad = np.flatnonzero(offsets[1:] < offsets[:-1] + heads[:-1] + sizes[:-1])
        if len(bad):
            raise self.error(f"{self.directory.key(int(order[bad[0] + 1]))}: the entry overlaps another one")


def _load(path: Path, *, memory_mapping: bool) -> NDArray[np.uint8]:
    if path.is_fifo():  # opening it would wait for a writer
        raise ArchiveError(f"{path}: expected an archive, got a pipe")
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise ArchiveError(f"{path}: expected an archive, got an empty file")
        if memory_mapping:
            return np.frombuffer(MappedFile(file.fileno(), size), np.uint8)
        data = np.frombuffer(file.read(), np.uint8)
        data.flags.writeable = False
        return data
