"""The logger from end to end, beside the published library, the mcap writer and C programs that do the bare work."""

import os
import shutil
import subprocess
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import peers
from measure import Table, interleaved

from ataraxis_data_structures import DataLogger, LogPackage
from ataraxis_data_structures.logs.control_words import Note

C_PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* append PATH COUNT BYTES: one write each, then a sync.  files DIRECTORY COUNT BYTES: create, write, close. */
int main(int argc, char **argv) {
    long count = atol(argv[3]), bytes = atol(argv[4]);
    char *data = calloc(1, bytes), path[4096];
    double start = now();
    if (!strcmp(argv[1], "append")) {
        int fd = open(argv[2], O_CREAT | O_WRONLY | O_APPEND, 0666);
        for (long i = 0; i < count; i++)
            if (write(fd, data, bytes) != bytes) return 1;
        if (fdatasync(fd)) return 1;
        close(fd);
    } else {
        for (long i = 0; i < count; i++) {
            snprintf(path, sizeof path, "%s/001_%020ld.npy", argv[2], i);
            int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0666);
            if (fd < 0 || write(fd, data, bytes) != bytes) return 1;
            close(fd);
        }
    }
    printf("%.9f\n", now() - start);
    return argc != 5;
}
"""
PEER_PUT = """
import time, tempfile
from pathlib import Path
import numpy as np
from ataraxis_data_structures import DataLogger, LogPackage
count, = args
with tempfile.TemporaryDirectory() as folder:
    logger = DataLogger(Path(folder), "peer")
    begin = time.perf_counter()
    logger.start()
    data = np.arange(64, dtype=np.uint8)
    logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(0), data))
    while not list(logger.output_directory.glob("*.npy")):
        time.sleep(0.0005)
    started = time.perf_counter() - begin
    begin = time.perf_counter()
    for i in range(1, count):
        logger.input_queue.put(LogPackage(np.uint8(1), np.uint64(i), data))
    put = time.perf_counter() - begin
    logger.stop()
    print([started, count / put, count / (time.perf_counter() - begin)])
"""
MCAP = """
import time, tempfile
from mcap.writer import CompressionType, Writer
count, size = args
with tempfile.NamedTemporaryFile() as file:
    writer = Writer(file, compression=CompressionType.NONE)
    writer.start()
    schema = writer.register_schema(name="raw", encoding="", data=b"")
    channel = writer.register_channel(topic="t", message_encoding="", schema_id=schema)
    data, add = bytes(size), writer.add_message
    times = list(range(1000))
    begin = time.perf_counter()
    for _ in range(count // 1000):
        for stamp in times:
            add(channel, log_time=stamp, publish_time=stamp, data=data)
    added = time.perf_counter() - begin
    writer.finish()
    file.flush()
    print([count / added, count / (time.perf_counter() - begin)])
"""


class Bench:
    """A folder on the disk under test, the C program, and a logger at a time."""

    def __init__(self, folder):
        self.folder = folder
        source = folder / "bare.c"
        source.write_text(C_PROGRAM)
        self.program = folder / "bare"
        subprocess.run(["gcc", "-O2", source, "-o", self.program], check=True)

    def bare(self, what, count, size):
        """Return how many times a second the C program writes `size` bytes."""
        target = Path(tempfile.mkdtemp(dir=self.folder))
        where = target if what == "files" else target / "bytes"
        took = subprocess.run([self.program, what, where, str(count), str(size)], check=True, capture_output=True)
        shutil.rmtree(target)
        return count / float(took.stdout)

    def logger(self, **options):
        """Return a started logger in a folder of its own; its queue has a lane already."""
        logger = DataLogger(Path(tempfile.mkdtemp(dir=self.folder)), "bench", **options)
        logger.start()
        logger.input_queue.put(LogPackage(0, 0, np.zeros(1, np.uint8)))
        logger.flush(60)
        return logger

    def end(self, logger):
        logger.stop()
        shutil.rmtree(logger.output_directory)
        logger._finalizer()


def put_loop(queue, count, size, source=1):
    """Put `count` messages, each package built in the loop from fresh numpy scalars; return messages a second."""
    data = np.arange(size, dtype=np.uint64).astype(np.uint8)
    begin = time.perf_counter()
    for i in range(count):
        queue.put(LogPackage(np.uint8(source), np.uint64(i), data))
    return count / (time.perf_counter() - begin)


def put_ready(queue, count, size):
    """The same with scalars made beforehand."""
    data, source, times = np.zeros(size, np.uint8), np.uint8(1), [np.uint64(i) for i in range(1000)]
    put = queue.put
    begin = time.perf_counter()
    for _ in range(count // 1000):
        for stamp in times:
            put(LogPackage(source, stamp, data))
    return count / (time.perf_counter() - begin)


def put_rates(bench):
    """Return the rates of `put` and `put_many` into a logger that drains; bursts that fit the lane."""
    count = 60_000
    logger = bench.logger(storage="journal")
    queue = logger.input_queue
    rows, times = np.zeros((count, 64), np.uint8), np.arange(count, dtype=np.uint64)

    def many():
        begin = time.perf_counter()
        queue.put_many(1, times, rows)
        return count / (time.perf_counter() - begin)

    def after_flush(deed):
        def measured():
            logger.flush(60)
            return deed()

        return measured

    rates = interleaved(
        {
            "built": after_flush(lambda: put_loop(queue, count, 64)),
            "ready": after_flush(lambda: put_ready(queue, count, 64)),
            "many": after_flush(many),
        }
    )
    bench.end(logger)
    return rates


def end_to_end(bench, count, size, producers=1, put=put_loop):
    """Return messages a second from the first put to the last synced byte, storage journal."""
    logger = bench.logger(storage="journal")
    begin = time.perf_counter()
    if producers == 1:
        put(logger.input_queue, count, size)
    else:
        context = get_context("fork")
        work = [
            context.Process(target=put_loop, args=(logger.input_queue, count // producers, size, source))
            for source in range(producers)
        ]
        begin = time.perf_counter()
        for child in work:
            child.start()
        for child in work:
            child.join()
    logger.flush(300)
    rate = count / (time.perf_counter() - begin)
    bench.end(logger)
    return rate


def files(bench, count, size):
    """Return files a second of storage npy, with what it takes until stop() returns."""
    logger = bench.logger()
    begin = time.perf_counter()
    put_loop(logger.input_queue, count, size)
    while logger._session.queue.hub.notes[Note.EXPANDED] < count:
        time.sleep(0.001)
    rate = count / (time.perf_counter() - begin)
    bench.end(logger)
    return rate


def burst(bench, count):
    """Return the p99.9 and the longest of the puts of a burst into storage npy, in milliseconds."""
    logger = bench.logger()
    queue, data, took = logger.input_queue, np.zeros(64, np.uint8), np.empty(count)
    for i in range(count):
        begin = time.perf_counter()
        queue.put(LogPackage(1, i, data))
        took[i] = time.perf_counter() - begin
    bench.end(logger)
    return float(np.quantile(took, 0.999)) * 1e3, float(took.max()) * 1e3


def latency(bench, count=3000):
    """Return (p50, p99) in microseconds from before a put to the logger process having written it, at 1 kHz."""
    logger = bench.logger(storage="journal")
    words = logger.input_queue.hub.sources.cast("Q")
    data, took = np.zeros(64, np.uint8), np.empty(count)
    due = time.perf_counter()
    for i in range(count):
        due += 0.001
        time.sleep(max(due - time.perf_counter(), 0))
        package = LogPackage(1, i, data)
        begin = time.perf_counter()
        logger.input_queue.put(package)
        while words[4] <= i:
            pass
        took[i] = time.perf_counter() - begin
    bench.end(logger)
    return tuple(np.percentile(took, (50, 99)) * 1e6)


def at_rest(bench):
    """Return (share of a core in percent, private memory in MB) of a logger process that has nothing to do."""
    logger = bench.logger()
    pid = logger.statistics.pid
    time.sleep(1)

    def ticks():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    begin, before = time.perf_counter(), ticks()
    time.sleep(8)
    share = (ticks() - before) / (time.perf_counter() - begin) * 100
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    private_kb = sum(int(line.split()[1]) for line in lines if line.startswith("Private"))
    bench.end(logger)
    return share, private_kb / 1024


def start_up(bench):
    """Return seconds from start() to the first message written."""
    logger = DataLogger(Path(tempfile.mkdtemp(dir=bench.folder)), "bench")
    words = logger.input_queue.hub.sources.cast("Q")
    begin = time.perf_counter()
    logger.start()
    logger.input_queue.put(LogPackage(1, 0, np.zeros(64, np.uint8)))
    while not words[4]:
        pass
    took = time.perf_counter() - begin
    bench.end(logger)
    return took


def main():
    """Measure everything on the disk that TMPDIR is on."""
    table = Table("The logger")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        peer_start, peer_put, peer_end = np.median([peers.run(PEER_PUT, 5000) for _ in range(3)], axis=0)
        rates = put_rates(bench)
        built = rates["built"]
        table.add("put of packages built in the loop", built, peer_put, built / peer_put, 100, unit="/s")
        table.add("put, scalars made beforehand", rates["ready"], 1e6, rates["ready"] / 1e6, 1, unit="/s")
        table.add("put_many of 64-byte rows", rates["many"], 8e6, rates["many"] / 8e6, 1, unit="/s")
        beside_mcap(bench, table)
        journal(bench, table, peer_end)
        npy(bench, table)
        p50_us, p99_us = latency(bench)
        what = f"put to written at 1 kHz, p50 (p99 {p99_us:.0f}); the bench of the queue has what is asked"
        table.add(what, p50_us, 30, p50_us / 30, 2, unit="us", at_least=False)
        share, private_mb = at_rest(bench)
        table.add("idle logger process", share, 0.5, share / 0.5, 1, unit="% of a core", at_least=False)
        table.add("private memory", private_mb, 40, private_mb / 40, 1, unit="MB", at_least=False)
        took = interleaved({"ours": lambda: start_up(bench)})["ours"]
        table.add("start to first message written", took, 0.2, took / 0.2, 1, unit="s", at_least=False)
        table.add("the same against the peer", took, peer_start, peer_start / took, 5, unit="s")
    table.print()
    return [table]


def journal(bench, table, peer_end):
    """Add the lines on storage journal."""
    count = 400_000
    small = interleaved(
        {
            "ours": lambda: end_to_end(bench, count, 64),
            "four": lambda: end_to_end(bench, count, 64, producers=4),
            "bare": lambda: bench.bare("append", count, 96),
        },
        rounds=3,
    )
    ours, four, bare = small["ours"], small["four"], small["bare"]
    table.add("journal, 64 B to synced file", ours, peer_end, ours / peer_end, 400, unit="/s")
    table.add("the same, C appends with one write each", ours, bare, ours / bare, 0.6, unit="/s")
    table.add("the same, 4 producers against 1", four, ours, four / ours, 0.8, unit="/s")
    for size, many in ((4096, 50_000), (2 << 20, 100)):
        blocks = max(size * many >> 20, 1)

        def bare_rate(size=size, blocks=blocks):
            return bench.bare("append", blocks, 1 << 20) * (1 << 20) / size

        got = interleaved({"ours": lambda n=many, size=size: end_to_end(bench, n, size), "bare": bare_rate}, rounds=9)
        what = f"journal, {size} B against sequential C"
        table.add(what, got["ours"], got["bare"], got["ours"] / got["bare"], 0.6, unit="/s")


def beside_mcap(bench, table):
    """Add what a message costs the process that acquires it; scalars and bytes made beforehand on both sides."""
    logger = bench.logger(storage="journal")

    def ours():
        logger.flush(60)
        return put_ready(logger.input_queue, 60_000, 64)

    def theirs():
        return peers.run(MCAP, 60_000, 64, requirements=("mcap",))

    added = {"ours": [], "theirs": []}
    for _ in range(5):
        added["ours"].append(ours())
        added["theirs"].append(theirs())
    bench.end(logger)
    put, (add, finished) = (np.median(added[who], axis=0) for who in ("ours", "theirs"))
    table.add("put against add_message of the mcap writer, 64 B", put, add, put / add, 5, unit="/s")
    table.add("the same with the mcap writer's finish()", put, finished, put / finished, 5, unit="/s")


def npy(bench, table):
    """Add the lines on storage npy."""
    for size in (64, 4096):
        got = interleaved(
            {
                "ours": lambda size=size: files(bench, 4000, size),
                "bare": lambda size=size: bench.bare("files", 4000, size + 137),
            },
            rounds=5,
        )
        table.add(
            f"npy, {size} B, files against C", got["ours"], got["bare"], got["ours"] / got["bare"], 0.8, unit="/s"
        )
    p999_ms, longest_ms = burst(bench, 200_000)
    what = f"put in a burst of 200,000, p99.9 (longest {longest_ms:.3g})"
    table.add(what, p999_ms, 100, p999_ms / 100, 1, unit="ms", at_least=False)


if __name__ == "__main__":
    main()
