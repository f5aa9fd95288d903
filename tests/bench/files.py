"""Checksums, copies and deletions of folders, beside the published library, xxhsum, cp and rm."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import peers

from ataraxis_data_structures import calculate_directory_checksum, delete_directory, transfer_directory

CPUS = len(os.sched_getaffinity(0))
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


def settled(deed):
    """Time a deed; what it left to write is written before the next one starts."""
    taken = measure.seconds(deed)
    os.sync()
    return taken


def checksums(label, root, workers):
    """Time the digests of one folder whose files are all in the page cache."""
    names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    cases = {
        "ours": lambda: measure.seconds(lambda: calculate_directory_checksum(root, workers, save_checksum=False)),
        "peer": lambda: peers.run(PEER, "checksum", str(root), "", workers),
    }
    if shutil.which("xxhsum"):
        cases["xxhsum"] = lambda: command("xxhsum", "-H2", *names, cwd=root)
    else:
        print("xxhsum is not on this machine (Debian package xxhash): not compared")
    found = measure.interleaved(cases)
    table = measure.Table(f"Folder checksum, {label}, {workers} thread(s)")
    table.add("peer / ours", found["ours"], found["peer"], found["peer"] / found["ours"], 8, unit="s")
    if "xxhsum" in found:
        ratio = found["ours"] / found["xxhsum"]
        table.add("ours / xxhsum -H2", found["ours"], found["xxhsum"], ratio, 1, unit="s", at_least=False)
    table.print()
    return table


def transfers(label, root, workers):
    """Time copies to the file system of the source, each to a new target."""
    target = root.with_name("target")

    def fresh(deed):
        def case():
            shutil.rmtree(target, ignore_errors=True)
            (root / "ax_checksum.txt").unlink(missing_ok=True)
            os.sync()
            return deed()

        return case

    cases = {
        "cp": fresh(lambda: command("cp", "-r", root, target)),
        "ours": fresh(lambda: measure.seconds(lambda: transfer_directory(root, target, workers))),
        "ours verified": fresh(
            lambda: measure.seconds(lambda: transfer_directory(root, target, workers, verify_integrity=True))
        ),
        "peer verified": fresh(lambda: peers.run(PEER, "verified", str(root), str(target), workers)),
    }
    found = measure.interleaved(cases)
    shutil.rmtree(target)
    (root / "ax_checksum.txt").unlink(missing_ok=True)
    table = measure.Table(f"Transfer, {label}, {workers} thread(s)")
    for ours, theirs, bound in (
        ("ours", "cp", 1.1),
        ("ours verified", "cp", 1.6),
        ("ours verified", "peer verified", 0.5),
    ):
        ratio = found[ours] / found[theirs]
        table.add(f"{ours} / {theirs}", found[ours], found[theirs], ratio, bound, unit="s", at_least=False)
    table.print()
    return table


def deletions(label, root):
    """Time the removal of copies."""
    target = root.with_name("target")

    def fresh(deed):
        def case():
            subprocess.run(["cp", "-r", root, target], check=True)
            os.sync()
            return deed()

        return case

    found = measure.interleaved(
        {
            "ours": fresh(lambda: measure.seconds(lambda: delete_directory(target))),
            "rm": fresh(lambda: command("rm", "-rf", target)),
        }
    )
    table = measure.Table(f"Deletion, {label}")
    table.add("ours / rm -rf", found["ours"], found["rm"], found["ours"] / found["rm"], 1.3, unit="s", at_least=False)
    table.print()
    return table


def main(disk=None, memory="/dev/shm"):
    tables = []
    for label, make, place in (
        ("2,000 x 4 KiB and 3 x 256 MiB on the disk", mixed, disk or tempfile.gettempdir()),
        ("50,000 x 100 B in memory", crowd, memory),
    ):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            root = make(Path(folder) / "source")
            os.sync()
            for workers in sorted({1, CPUS}):
                tables.append(checksums(label, root, workers))
                tables.append(transfers(label, root, workers))
            tables.append(deletions(label, root))
    return tables


if __name__ == "__main__":
    main(*sys.argv[1:])
