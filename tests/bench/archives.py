"""Archives: assembly and reading against the published library, numpy and C, side by side in one run."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import measure
import numpy as np
import peers

from ataraxis_data_structures import LogArchiveReader, assemble_log_archives, map_archive
from ataraxis_data_structures._core import frame, npz
from ataraxis_data_structures.logs.journal import layout

ONSET = 1_700_000_000_000_000
CASES = {"64 B": (100_000, 64), "4 KiB": (20_000, 4096)}

PEER_ASSEMBLE = """
import time
from pathlib import Path
from ataraxis_data_structures import assemble_log_archives
if __name__ == "__main__":
    start = time.perf_counter()
    # with its default, memory_mapping=True, it has every file open at once: "too many open files"
    assemble_log_archives(Path(args[0]), remove_sources=args[1], memory_mapping=False)
    print(time.perf_counter() - start)
"""
PEER_READ = """
import time
from pathlib import Path
from ataraxis_data_structures import LogArchiveReader
start = time.perf_counter()
reader = LogArchiveReader(Path(args[0]))
reader.message_count
opened = time.perf_counter()
for message in reader.iter_messages(): pass
iterated = time.perf_counter()
reader.read_all_messages()
print([opened - start, iterated - opened, time.perf_counter() - iterated])
"""
C_WRITE = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    size_t left = strtoull(argv[2], 0, 10), block = 4 << 20;
    char *room = malloc(block);
    memset(room, 1, block);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    while (left) left -= write(fd, room, left < block ? left : block);
    fsync(fd);
    close(fd);
    if (argc > 3) unlink(argv[3]);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%.9f", (b.tv_sec - a.tv_sec) + 1e-9 * (b.tv_nsec - a.tv_nsec));
}
"""


def messages(count, size):
    """Yield (time, payload): the onset, then messages of one size."""
    block = np.random.default_rng(1).integers(0, 256, size + 997, dtype=np.uint8).tobytes()
    yield 0, ONSET.to_bytes(8, "little")
    for at in range(1, count):
        yield at * 50, block[at % 997 : at % 997 + size]


def fill(folder, count, size):
    """Make the message files of one source."""
    folder.mkdir(exist_ok=True)
    here = os.open(folder, os.O_RDONLY)
    for at, payload in messages(count, size):
        fd = os.open(npz.file_name(1, at), os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
        os.write(fd, npz.message_file(1, at, payload))
        os.close(fd)
    os.close(here)
    os.sync()


def fill_journal(folder, count, size):
    """Make a journal of the same messages; return its path."""
    folder.mkdir(exist_ok=True)
    header = layout.Header(0xBE7C, 0, 7, layout.JOURNAL, ONSET, bytes(16))
    with (folder / header.name).open("wb", buffering=2**20) as file:  # by spans, as the logger writes
        file.write(header.pack())
        for seq, (at, payload) in enumerate(messages(count, size)):
            file.write(frame.pack(7, payload, source=1, time=at, seq=seq, claim=1))
    os.sync()
    return folder / header.name


def assembly(table, work, label, count, size):
    """Assemble from files, with and without removal, and from a journal; return the archive."""
    kept = work / f"kept {size}"
    archive = kept / "1_log.npz"

    def again(assemble):
        archive.unlink(missing_ok=True)
        measure.settle(work)
        return assemble(kept, remove=False)

    def ours(folder, *, remove):
        return count / measure.seconds(lambda: assemble_log_archives(folder, remove_sources=remove))

    def theirs(folder, *, remove):
        return count / peers.run(PEER_ASSEMBLE, str(folder), remove)

    # The peer once: its runs are long, and steady. Files that nobody reads for a while may leave the page cache, so
    # those that are kept are assembled first.
    fill(kept, count, size)
    rates = {"peer, kept": again(theirs)}
    rates |= measure.interleaved({"ours, kept": lambda: again(ours)}, rounds=3)
    other = work / f"other {size}"
    rates["peer, removed"] = anew(work, other, theirs, fill, count, size)
    rates |= measure.interleaved({"ours, removed": lambda: anew(work, other, ours, fill, count, size)}, rounds=2)
    for sources, bound in (("removed", 5), ("kept", 8)):
        mine, peer = rates[f"ours, {sources}"], rates[f"peer, {sources}"]
        table.add(f"assemble files, {sources}, {label}", mine, peer, mine / peer, bound, unit="msg/s")
    rates |= from_journal(work, other, ours, archive.stat().st_size, count, size)
    for sources, work_of_c in (("removed", "writes, syncs and removes"), ("kept", "writes and syncs")):
        mine, peer, in_c = (rates[f"{who}, {sources}"] for who in ("journal", "peer", "C"))
        what = f"assemble journal, {sources}, {label}"
        table.add(f"{what}, against the peer from files", mine, peer, mine / peer,
                  100 if mine < 0.5 * in_c else None, unit="msg/s")  # fmt: skip
        table.add(f"{what}, against C that {work_of_c} as much", mine, in_c, mine / in_c,
                  None if mine >= 100 * peer else 0.5, unit="msg/s")  # fmt: skip
    return archive


def anew(work, folder, assemble, filler, count, size):
    """Fill a folder and assemble it, its sources removed."""
    folder.mkdir(exist_ok=True)
    (folder / "1_log.npz").unlink(missing_ok=True)
    filler(folder, count, size)
    measure.settle(work)
    return assemble(folder, remove=True)


def from_journal(work, other, ours, written, count, size):
    """Return the rates from a journal, and of a C program that writes as much as an archive has."""
    journal = work / f"journal {size}"
    fill_journal(journal, count, size)

    def again():
        (journal / "1_log.npz").unlink(missing_ok=True)
        measure.settle(work)
        return ours(journal, remove=False)

    cases = {
        "journal, removed": lambda: anew(work, other, ours, fill_journal, count, size),
        "journal, kept": again,
        "C, removed": lambda: count / write_in_c(work, written, fill_journal(other, count, size)),
        "C, kept": lambda: count / write_in_c(work, written),
    }
    return measure.interleaved(cases, rounds=9)


def write_in_c(work, size, *removed):
    """Return how long a C program takes to write and sync so many bytes, and to remove a file if one is named."""
    program = work / "write"
    if not program.exists():
        source = work / "write.c"
        source.write_text(C_WRITE)
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
    (work / "written").unlink(missing_ok=True)
    measure.settle(work)
    done = subprocess.run([program, work / "written", str(size), *removed], check=True, capture_output=True, text=True)
    return float(done.stdout)


def reading(table, label, path):
    """Open, iterate, read all."""

    def ours():
        start = time.perf_counter()
        reader = LogArchiveReader(path)
        reader.message_count  # noqa: B018  # opens it
        opened = time.perf_counter()
        for _ in reader.iter_messages():
            pass
        iterated = time.perf_counter()
        reader.read_all_messages()
        return [opened - start, iterated - opened, time.perf_counter() - iterated]

    theirs = peers.run(PEER_READ, str(path))
    mine = np.median([ours() for _ in range(5)], axis=0)
    for what, bound, a, b in zip(
        ("open", "iter_messages", "read_all_messages"), (30, 40, 40), mine, theirs, strict=True
    ):
        table.add(f"{what}, {label}", a * 1e3, b * 1e3, b / a, bound, unit="ms")


def large(table, work):
    """One million messages: open, timestamps, the sum of a matrix."""
    folder = work / "million"
    fill_journal(folder, 1_000_001, 64)
    assemble_log_archives(folder)
    path = folder / "1_log.npz"
    opened = measure.interleaved({"open": lambda: measure.seconds(lambda: LogArchiveReader(path).message_count)})[
        "open"
    ]
    table.add("open 1 million messages", opened * 1e3, 200, opened * 1e3, 200, unit="ms", at_least=False)
    stamps = measure.interleaved({"": lambda: measure.seconds(lambda: LogArchiveReader(path).timestamps)})[""]
    table.add("timestamps of 1 million messages", stamps * 1e3, 100, stamps * 1e3, 100, unit="ms", at_least=False)
    reader = LogArchiveReader(path)
    plain = np.ascontiguousarray(reader.matrix())
    for dtype in (np.uint8, np.uint64):
        array = plain.view(dtype)
        matrix = reader.matrix(dtype)
        times = measure.interleaved(
            {
                "made": lambda matrix=matrix: measure.seconds(matrix.sum),
                "plain": lambda array=array: measure.seconds(array.sum),
            }
        )
        table.add(f"matrix({np.dtype(dtype)}).sum(), 1 million x 64 B", times["made"] * 1e3, times["plain"] * 1e3,
                  times["plain"] / times["made"], 0.5, unit="ms")  # fmt: skip
    return path


def cost(messages):
    """Spend about 20 us on each message, as a decoder does."""
    found = 0.0
    for message in messages:
        values = np.frombuffer(message.payload, np.uint8).astype(np.float64)
        found += float(np.sqrt(values).sum() + values.std())
    return found


def count_only(messages):
    """Do as little as possible."""
    return sum(1 for _ in messages)


def mapping(table, path, large_path):
    """map_archive on two workers against one, and against this process on a function that does next to nothing."""
    with ProcessPoolExecutor(1) as one, ProcessPoolExecutor(2) as two:
        for executor in (one, two):
            map_archive(path, count_only, executor, workers=2)
        cases = {
            "one": lambda: map_archive(path, cost, one, workers=2),
            "two": lambda: map_archive(path, cost, two, workers=2),
            "trivial here": lambda: map_archive(large_path, count_only, workers=2),
            "trivial two": lambda: map_archive(large_path, count_only, two, workers=2),
        }
        times = measure.interleaved(
            {name: lambda case=case: measure.seconds(case) for name, case in cases.items()}, rounds=5
        )
    table.add("map_archive, 2 workers against 1, real cost, 100,000 x 64 B", times["two"], times["one"],
              times["one"] / times["two"], 1.7, unit="s")  # fmt: skip
    table.add("map_archive, 2 workers against this process, trivial, 1 million", times["trivial two"],
              times["trivial here"], times["trivial here"] / times["trivial two"], 1, unit="s")  # fmt: skip


def remove(folder):
    """Remove a folder of many files: from several threads, because a disk may make each removal wait."""
    names = [path for path in folder.rglob("*") if path.is_file()]
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(os.unlink, names, chunksize=1000))


def main():
    """Print each table when its figures are there, and return them all."""
    tables = [measure.Table(f"Archives: {what}") for what in ("assembly", "reading", "arrays", "batches")]
    assembled, read, arrays, batches = tables
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        archives = {label: assembly(assembled, work, label, count, size) for label, (count, size) in CASES.items()}
        assembled.print()
        for label, archive in archives.items():
            reading(read, label, archive)
        read.print()
        large_path = large(arrays, work)
        arrays.print()
        mapping(batches, archives["64 B"], large_path)
        batches.print()
        remove(work)
    return tables


if __name__ == "__main__":
    sys.exit(any(" NO |" in table.markdown() for table in main()))
