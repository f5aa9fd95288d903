"""Record this machine's own telemetry for some seconds, archive it, read it back and check every message.

Example:
    axds demo --seconds 10 --rate 1000
"""

import argparse
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import DataLogger, LogArchiveReader, SharedMemoryArray, Store, assemble_log_archives
from .checkup import telemetry
from .render import add_json, print_json, print_table
from .terminal import print_line

_SOURCES = 4
_WORKERS = 2
_COLUMNS = ["source", "counter", "messages", "rate_hz", "bytes", "max_gap_ms", "put_p50_us", "put_p99_us", "missing",
            "duplicated"]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("directory", nargs="?", type=Path, help="keep the log here (default: a temporary folder)")
    parser.add_argument("--seconds", type=_positive, default=10.0, help="how long to record (default: 10)")
    parser.add_argument(
        "--rate", type=_positive, default=1000.0, help="samples a second of each source (default: 1000)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the whole chain; 1 if one message is missing or stands twice."""
    with ExitStack() as stack:
        directory = arguments.directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="axds-demo-")))
        counters = telemetry.find_counters(_SOURCES)
        log_directory, ledgers = _record(directory, counters, arguments.seconds, arguments.rate, quiet=arguments.json)
        assemble_log_archives(log_directory, remove_sources=True, verify_integrity=True)
        pool = stack.enter_context(ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")))
        rows = [
            {"source": source, "counter": name} | _account(pool, log_directory / f"{source}_log.npz", ledgers[source])
            for source, (name, _) in enumerate(counters, start=1)
        ]
    items = Store(arguments.directory).adopt_logs() if arguments.directory else []
    _report(rows, log_directory if arguments.directory else None, items, as_json=arguments.json)
    return int(any(row["missing"] or row["duplicated"] for row in rows))


def _record(
    directory: Path, counters: list[tuple[str, Path]], seconds: float, rate_hz: float, *, quiet: bool
) -> tuple[Path, dict[int, telemetry.Ledger]]:
    """Record from one process for each counter and return the log's directory and what each process put."""
    logger = DataLogger(output_directory=directory, instance_name="demo")
    board = SharedMemoryArray.create_array(
        f"axds-demo-{os.getpid()}", np.zeros(1 + len(counters), np.int64), exists_ok=True
    )
    context = get_context("spawn")
    children: dict[int, tuple[Any, Connection]] = {}
    logger.start()
    try:
        for source, (_, path) in enumerate(counters, start=1):
            ours, theirs = context.Pipe(duplex=False)
            arguments = (source, path, rate_hz, logger.input_queue, board, theirs)
            child = context.Process(target=telemetry.produce, args=arguments)
            with _deaf():
                child.start()
                children[source] = (child, ours)
            theirs.close()
        for _, results in children.values():
            results.recv()
        board[0] = telemetry.RUN
        _watch(board, seconds, quiet=quiet)
        board[0] = telemetry.STOP
        ledgers = {source: results.recv() for source, (_, results) in children.items()}
    finally:
        board[0] = telemetry.STOP
        for child, results in children.values():
            results.close()
            child.join()
        board.destroy()
        logger.stop()
    return logger.output_directory, ledgers


@contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that never hear Ctrl-C, which a terminal sends to all of them: this one decides what it ends."""
    heard: list[int] = []
    resource_tracker.ensure_running()  # its own start would let the signal through again
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # what children inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def _watch(board: SharedMemoryArray, seconds: float, *, quiet: bool) -> None:
    """Show a live line until the time is over or Ctrl-C ends the recording early."""
    deadline = time.monotonic() + seconds
    with tqdm(unit=" messages", unit_scale=True, disable=quiet, desc="recording") as line:
        try:
            while (left := deadline - time.monotonic()) > 0:
                time.sleep(min(0.1, left))
                counts = board[1:]
                line.update(int(counts.sum()) - line.n)
                line.set_postfix_str(" ".join(map(str, counts)))
        except KeyboardInterrupt:
            line.write("recording ended early; archiving what was recorded")


def decode(archive: Path, onset_us: np.uint64, keys: list[str]) -> tuple[list[int], int, list[bytes]]:
    """Return the times of a batch of messages, their bytes, and a fingerprint of each; runs in a worker process."""
    messages = LogArchiveReader(archive, onset_us=onset_us).iter_messages(keys=keys)
    times, digests, size = [], [], 0
    for message in messages:
        elapsed_us = int(message.timestamp_us) - int(onset_us)
        times.append(elapsed_us)
        digests.append(telemetry.digest(elapsed_us, message.payload.data))
        size += message.payload.size
    return times, size, digests


def _account(pool: ProcessPoolExecutor, archive: Path, ledger: telemetry.Ledger) -> dict[str, Any]:
    """Decode one archive in the pool and hold it against what its producer put."""
    reader = LogArchiveReader(archive)
    onset_us = reader.onset_timestamp_us
    batches = reader.get_batches(workers=_WORKERS)
    with _deaf():
        jobs = [pool.submit(decode, archive, onset_us, batch) for batch in batches]
    parts = [job.result() for job in jobs]
    times = np.array([time_us for part in parts for time_us in part[0]], np.int64)
    found = Counter(one for part in parts for one in part[2])
    found[telemetry.digest(0, int(onset_us).to_bytes(8, "little"))] += 1  # the onset message, which batches leave out
    put = Counter(ledger.digests)
    p50_ns, p99_ns = np.percentile(np.array(ledger.put_ns), [50, 99])
    gaps_us = np.diff(times)
    return {
        "messages": len(times),
        "rate_hz": float(gaps_us.size / (gaps_us.sum() / 1e6)) if gaps_us.size else 0.0,
        "bytes": sum(part[1] for part in parts),
        "max_gap_ms": float(gaps_us.max() / 1000) if gaps_us.size else 0.0,
        "put_p50_us": float(p50_ns / 1000),
        "put_p99_us": float(p99_ns / 1000),
        "missing": (put - found).total(),
        "duplicated": (found - put).total(),
    }


def _report(rows: list[dict[str, Any]], kept: Path | None, items: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"directory": kept, "sources": rows})
        return
    print_table(rows, _COLUMNS)
    if kept:
        print_line(f"kept in {kept}, as items of a store: {', '.join(items)}")
        print_line(f"to look at it: axds store ls {kept.parent}; axds log report {kept}; in Python:")
        print_line(f'  Store("{kept.parent}").get("{items[0] if items else ""}").timestamps')
    lost, twice = (sum(row[column] for row in rows) for column in ("missing", "duplicated"))
    print_line(f"{sum(row['messages'] for row in rows):,} messages: {lost} missing, {twice} duplicated")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return number
