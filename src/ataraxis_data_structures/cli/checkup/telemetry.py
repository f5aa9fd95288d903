"""The demo's producers: processes that sample this machine's kernel counters and log the raw bytes."""

import contextlib
import os
import time
from array import array
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_128_digest

from ... import LogPackage, SharedMemoryArray

READY, RUN, STOP = 0, 1, 2  # values of the shared array's first element; the counters of the sources follow

_COUNTERS = {
    "cpu": "stat",
    "memory": "meminfo",
    "interrupts": "interrupts",
    "disk": "diskstats",
    "network": "net/dev",
    "scheduler": "schedstat",
    "virtual memory": "vmstat",
    "load": "loadavg",
}


@dataclass
class Ledger:
    """What one producer put: a digest for each message, in order, and what each put cost."""

    digests: list[bytes] = field(default_factory=list)
    put_ns: "array[int]" = field(default_factory=lambda: array("q"))


def find_counters(count: int) -> list[tuple[str, Path]]:
    """Return `count` kernel counter files that this machine lets us read, each with its name."""
    found = [(name, Path("/proc", file)) for name, file in _COUNTERS.items() if os.access(f"/proc/{file}", os.R_OK)]
    if len(found) < count:
        raise OSError(f"expected {count} readable kernel counters under /proc, found {len(found)}")
    return found[:count]


def digest(time_us: int, payload: bytes | memoryview) -> bytes:
    """Return the 128-bit fingerprint of a message by which the demo recognises it in the archive."""
    return xxh3_128_digest(int(time_us).to_bytes(8, "little") + bytes(payload))


def produce(
    source: int, counter: Path, rate_hz: float, queue: Any, board: SharedMemoryArray, results: Connection
) -> None:
    """Sample `counter` at `rate_hz` while the board's flag says so, then send the ledger."""
    ledger = Ledger()
    descriptor = os.open(counter, os.O_RDONLY)
    _tell(results, "ready")
    board.connect()
    while board[0] == READY:
        time.sleep(0.001)
    onset_us = time.time_ns() // 1000
    _log(queue, ledger, source, 0, onset_us.to_bytes(8, "little"))
    _sample(source, descriptor, rate_hz, queue, board, ledger)
    os.close(descriptor)
    board.disconnect()
    _tell(results, ledger)
    results.close()


def _tell(results: Connection, what: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody asks any more where the demo was interrupted
        results.send(what)


def _sample(source: int, descriptor: int, rate_hz: float, queue: Any, board: SharedMemoryArray, ledger: Ledger) -> None:
    period_ns = 1e9 / rate_hz
    start_ns = time.perf_counter_ns()
    tick = 0
    while board[0] == RUN:
        late_ns = time.perf_counter_ns() - start_ns - tick * period_ns
        if late_ns < 0:
            time.sleep(-late_ns / 1e9)  # a late tick is made up for, so that the mean rate holds
        payload = os.pread(descriptor, 1 << 20, 0)
        elapsed_us = max(1, (time.perf_counter_ns() - start_ns) // 1000)  # 0 is the onset's
        _log(queue, ledger, source, elapsed_us, payload)
        tick += 1
        board[source] = tick


def _log(queue: Any, ledger: Ledger, source: int, time_us: int, payload: bytes) -> None:
    package = LogPackage(np.uint8(source), np.uint64(time_us), np.frombuffer(payload, np.uint8))
    before_ns = time.perf_counter_ns()
    queue.put(package)
    ledger.put_ns.append(time.perf_counter_ns() - before_ns)
    ledger.digests.append(digest(time_us, payload))
