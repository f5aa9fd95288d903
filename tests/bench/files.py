"""Checksums, copies and deletions of folders, beside the published library, xxhsum, cp and rm."""

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import measure
import peers

from ataraxis_data_structures import calculate_directory_checksum, delete_directory, transfer_directory

WORKERS = {"one thread": 1, "all CPUs": len(os.sched_getaffinity(0))}
PEER = """
import time
from pathlib import Path
from ataraxis_data_structures import calculate_directory_checksum, transfer_directory

def main():
    what, source, target, workers = args
    start = time.perf_counter()
    if what == "checksum":
        calculate_directory_checksum(Path(source), num_processes=workers, save_checksum=False)
    else:
        transfer_directory(Path(source), Path(target), num_threads=workers, verify_integrity=what == "verified")
    print(time.perf_counter() - start)

if __name__ == "__main__":
    main()
"""


def mixed(root):
    """2,000 files of 4 KiB and 3 of 256 MiB."""
    (root / "small").mkdir(parents=True)
    for i in range(2000):
        (root / f"small/{i:04d}").write_bytes(os.urandom(4096))
    for i in range(3):
        with (root / f"big{i}").open("wb") as file:
            for _ in range(64):
                file.write(os.urandom(4 << 20))
    return root


def crowd(root):
    """50,000 files of 100 bytes in 50 folders."""
    for folder in range(50):
        (root / str(folder)).mkdir(parents=True)
        for i in range(1000):
            (root / f"{folder}/{i:03d}").write_bytes(os.urandom(100))
    return root


def command(*words, cwd=None):
    return measure.seconds(lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=cwd))


def once(case):
    """Return a case that runs in the first round only: for a peer that takes a minute and is far from its bound."""
    figures = []

    def first():
        if not figures:
            figures.append(case())
        return figures[0]

    return first


def checksums(tree, root):
    """Time the digests of one folder whose files are all in the page cache."""
    names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

    def ours(workers):
        return lambda: measure.seconds(lambda: calculate_directory_checksum(root, workers, save_checksum=False))

    cases = {name: ours(workers) for name, workers in WORKERS.items()}
    cases["peer"] = tree.peer(lambda: peers.run(PEER, "checksum", str(root), "", tree.peer_workers))
    if shutil.which("xxhsum"):
        cases["xxhsum -H2"] = lambda: command("xxhsum", "-H2", *names, cwd=root)
    else:
        print("xxhsum is not on this machine (Debian package xxhash): not compared")
    found = measure.interleaved(cases)
    table = measure.Table(f"Folder checksum, {tree.label}")
    for name in WORKERS:
        table.add(f"peer / ours, {name}", found[name], found["peer"], found["peer"] / found[name], 8, unit="s")
    if "xxhsum -H2" in found:
        compare(table, found, "one thread", "xxhsum -H2", 1)
    table.print()
    return table


class Copies:
    """Copies of one folder beside it, each timed, and their removals, timed by turns of ours and of rm."""

    def __init__(self, root):
        self.root = root
        self.target = root.with_name("target")
        self.removals = {"ours": [], "rm -rf": []}
        self.cases = 0

    def timed(self, deed):
        """Return a case that copies; it starts with nothing left to write, and leaves nothing."""
        turns = itertools.count(self.cases)  # who removes: the other one in the next case, and in the next round
        self.cases += 1

        def case():
            (self.root / "ax_checksum.txt").unlink(missing_ok=True)
            os.sync()
            taken = deed()
            os.sync()
            self.remove(next(turns))
            return taken

        return case

    def remove(self, turn):
        if turn % 2:
            self.removals["ours"].append(measure.seconds(lambda: delete_directory(self.target)))
        else:
            self.removals["rm -rf"].append(command("rm", "-rf", self.target))

    def ours(self, workers, **options):
        return self.timed(
            lambda: measure.seconds(lambda: transfer_directory(self.root, self.target, workers, **options))
        )


def transfers(tree, root):
    """Time copies to the file system of the source, each to a new target, and their removal."""
    copies = Copies(root)
    cases = {"cp -r": copies.timed(lambda: command("cp", "-r", root, copies.target))}
    for name, workers in WORKERS.items():
        if workers in tree.workers:
            cases[name] = copies.ours(workers)
            cases[f"{name}, verified"] = copies.ours(workers, verify_integrity=True)
    words = ("verified", str(root), str(copies.target), tree.peer_workers)
    cases["peer, verified"] = tree.peer(copies.timed(lambda: peers.run(PEER, *words)))
    found = measure.interleaved(cases)
    table = measure.Table(f"Transfer and removal, {tree.label}")
    for name, workers in WORKERS.items():
        if workers in tree.workers:
            compare(table, found, name, "cp -r", 1.1)
            compare(table, found, f"{name}, verified", "cp -r", 1.6)
            compare(table, found, f"{name}, verified", "peer, verified", 0.5)
    compare(table, {side: statistics.median(taken) for side, taken in copies.removals.items()}, "ours", "rm -rf", 1.3)
    table.print()
    return table


def compare(table, found, ours, theirs, bound):
    name = ours if ours == "ours" else f"ours, {ours}"
    ratio = found[ours] / found[theirs]
    table.add(f"{name} / {theirs}", found[ours], found[theirs], ratio, bound, unit="s", at_least=False)


@dataclass
class Kind:
    """One tree to measure on: how it is made and where, and with how many workers the peer is at its best there."""

    label: str
    make: Callable
    place: str
    workers: tuple
    peer_workers: int
    peer: Callable


CPUS = max(WORKERS.values())
KINDS = {
    "disk": Kind("2,000 x 4 KiB and 3 x 256 MiB on the disk", mixed, tempfile.gettempdir(), (1,), 1, lambda case: case),
    "memory": Kind("50,000 x 100 B in memory, the peer measured once", crowd, "/dev/shm", (1, CPUS), CPUS, once),
}


def main(*kinds):
    tables = []
    for tree in map(KINDS.get, kinds or KINDS):
        with tempfile.TemporaryDirectory(dir=tree.place) as folder:
            root = tree.make(Path(folder) / "source")
            tables += [checksums(tree, root), transfers(tree, root)]
    return tables


if __name__ == "__main__":
    main(*sys.argv[1:])
