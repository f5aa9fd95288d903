"""Digests of many files beneath one folder, computed by threads and given back in order."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128, xxh3_128_digest

from .._core.bulk import ROW, load_files
from ..system.progress import Meter
from .walk import open_unaccessed

# Small files share a buffer that stays in a core's cache; larger ones come in pieces, since xxhash releases the
# interpreter's lock above 64 KiB only.
SMALL_BYTES = 256 << 10
PIECE_BYTES = 1 << 20
_BATCH_FILES = 256

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_local = threading.local()


def in_threads(
    work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int, meter: Meter
) -> Iterator[_Result]:
    """Yield the results in the order of the items; a failure ends the work that is under way."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            meter.stop()
            raise


def batches(names: Sequence[str]) -> list[Sequence[str]]:
    """Cut names into pieces of work."""
    return [names[start : start + _BATCH_FILES] for start in range(0, len(names), _BATCH_FILES)]


def room() -> NDArray[np.uint8]:
    """Return this thread's buffer; what it holds is for the caller until the next call."""
    if not hasattr(_local, "room"):
        _local.room = np.empty(PIECE_BYTES, dtype=np.uint8)
    buffer: NDArray[np.uint8] = _local.room
    return buffer


def digest_files(
    root: int,
    names: Sequence[str],
    threads: int,
    meter: Meter,
    opener: Callable[[str, int, int], int] = open_unaccessed,
) -> list[bytes]:
    """Return H(name + contents) of each file, 16 bytes; links to files are followed.

    `opener` opens what is large and what this user may not read just so.
    """
    found: dict[str, bytes] = {}
    large: list[str] = []
    for digests, left in in_threads(lambda batch: _digest_small(root, batch, meter), batches(names), threads, meter):
        found.update(digests)
        large += left
    digests_of_large = in_threads(lambda name: digest_file(root, name, meter, opener), large, threads, meter)
    found.update(zip(large, digests_of_large, strict=True))
    return [found[name] for name in names]


def digest_file(root: int, name: str, meter: Meter, opener: Callable[[str, int, int], int] = open_unaccessed) -> bytes:
    """Return H(name + contents) of one file of any size."""
    state = xxh3_128(os.fsencode(name))
    fd = opener(name, os.O_RDONLY | os.O_CLOEXEC, root)
    try:
        buffer = room()
        while got := os.readv(fd, [buffer]):
            state.update(buffer[:got])
            meter.add(got)
    finally:
        os.close(fd)
    return state.digest()


def _digest_small(root: int, names: Sequence[str], meter: Meter) -> tuple[dict[str, bytes], list[str]]:
    """Return the digests of the small files, and the names of the others."""
    found: dict[str, bytes] = {}
    large: list[str] = []
    encoded = [os.fsencode(name) for name in names]
    rows = np.empty((len(names), ROW), dtype=np.int64)
    buffer = room()
    view = memoryview(buffer)
    done = 0
    while done < len(names):
        size = 0
        handled = load_files(root, encoded[done:], buffer, rows, SMALL_BYTES)
        for name, key, (start, end) in zip(names[done:], encoded[done:], rows[:handled, :2].tolist(), strict=False):
            if start < 0:
                large.append(name)
            else:
                found[name] = xxh3_128_digest(view[start:end])
                size += end - start - len(key)
        meter.add(size)
        done += handled
    return found, large
