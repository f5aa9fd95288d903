"""What a store costs, beside datafolio on the same folder, beside itself when it has grown, and beside the disk."""

import json
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import measure
import numpy as np
import peers
from xxhash import xxh3_128

from ataraxis_data_structures import DataFolio, Store

PEER = "datafolio==2.3.0"
ITEMS, CALLS = 1_000, 30
DESCRIBED = 2_000
FEW, MANY = 200, 20_000
BULK_BYTES = 256 << 20
VERIFIED_BYTES = 1 << 30

FILL = """
from datafolio import DataFolio
folio = DataFolio(args[0])
with folio.batch():
    for number in range(args[1]):
        folio.add(f"item{number}", {"lr": 0.01, "number": number})
print(json.dumps(len(folio.list_contents())))
"""
DESCRIBE = """
import time
from datafolio import DataFolio
folio = DataFolio(args[0], allow_existing=True)
folio.describe(return_string=True)
took = []
for _ in range(args[1]):
    start = time.perf_counter()
    folio.describe(return_string=True)
    took.append(time.perf_counter() - start)
print(json.dumps(sorted(took)[len(took) // 2]))
"""
CHANGE = """
import time
from datafolio import DataFolio
folio = DataFolio(args[0], allow_existing=True)
folio.get("item0")
adds, gets = [], []
for number in range(args[2]):
    start = time.perf_counter()
    folio.add(f"new{args[1]}_{number}", {"lr": 0.01, "number": number})
    middle = time.perf_counter()
    folio.get(f"item{number * 7}")
    adds.append(middle - start)
    gets.append(time.perf_counter() - middle)
print(json.dumps([sorted(adds)[len(adds) // 2], sorted(gets)[len(gets) // 2]]))
"""


def filled(folder, items):
    """Make a store with so many items."""
    store = Store(folder, sync="process")
    with store.batch():
        for number in range(items):
            store.add(f"item{number}", {"lr": 0.01, "number": number})
    return store


def medians(folder, run, sync):
    """Return the median seconds of an add and a get by an instance of its own."""
    store = Store(folder, sync=sync)
    store.get("item0")
    store.add(f"first{sync}{run}", 0)
    adds, gets = [], []
    for number in range(CALLS):
        name, value = f"{sync}{run}_{number}", {"lr": 0.01, "number": number}
        adds.append(measure.seconds(lambda name=name, value=value: store.add(name, value)))
        gets.append(measure.seconds(lambda number=number: store.get(f"item{number * 7}")))
    return statistics.median(adds), statistics.median(gets)


def beside_datafolio(folder):
    table = measure.Table(f"Store with {ITEMS:,} items (theirs: {PEER})")
    filled(folder / "ours", ITEMS)
    peers.run(FILL, str(folder / "theirs"), ITEMS, requirements=(PEER,))
    rounds = []
    for run in range(5):
        theirs = peers.run(CHANGE, str(folder / "theirs"), run, CALLS, requirements=(PEER,))
        rounds.append((medians(folder / "ours", run, "power"), medians(folder / "ours", run, "process"), theirs))
    synced, unsynced, get, their_add, their_get = (
        statistics.median(values) * 1e3
        for values in zip(*((power[0], bare[0], bare[1], *theirs) for power, bare, theirs in rounds), strict=True)
    )
    table.add("add, synced", synced, their_add, their_add / synced, 4, unit="ms")
    table.add("add, not synced", unsynced, their_add, their_add / unsynced, 40, unit="ms")
    table.add("get", get, their_get, their_get / get, 8, unit="ms")
    return table


def overview(folder):
    """Compare the overview of many items, which nobody changed since the last one."""
    table = measure.Table(f"DataFolio.describe of {DESCRIBED:,} items (theirs: {PEER})")
    folio = DataFolio(folder / "described")
    with folio.batch():
        for number in range(DESCRIBED):
            folio.add_json(f"item{number}", {"lr": 0.01, "number": number}, description="one of many")
    peers.run(FILL, str(folder / "described_theirs"), DESCRIBED, requirements=(PEER,))
    rounds = []
    for _ in range(5):
        theirs = peers.run(DESCRIBE, str(folder / "described_theirs"), CALLS, requirements=(PEER,))
        folio.describe(return_string=True)
        ours = statistics.median(measure.seconds(lambda: folio.describe(return_string=True)) for _ in range(CALLS))
        rounds.append((ours * 1e3, theirs * 1e3))
    ours, theirs = (statistics.median(values) for values in zip(*rounds, strict=True))
    table.add("describe", ours, theirs, theirs / ours, 10, unit="ms")
    return table


def growth(folder):
    """Compare what calls cost in a store with many items and in one with few."""
    table = measure.Table(f"Store with {MANY:,} items (theirs: the same with {FEW})")
    stores = {count: filled(folder / f"grown{count}", count) for count in (FEW, MANY)}
    numbers = iter(range(1 << 30))
    deeds = {
        "add": lambda store: store.add(f"new{next(numbers)}", {"x": 1}),
        "get": lambda store: store.get(f"item{next(numbers) % FEW}"),
        "snapshot": lambda store: store.snapshot(f"snapshot{next(numbers)}"),
    }
    for what, deed in deeds.items():
        for store in stores.values():  # what is built once at the first write
            deed(store)
        took = measure.interleaved(
            {
                count: lambda store=store, deed=deed: statistics.median(
                    measure.seconds(lambda: deed(store)) for _ in range(CALLS)
                )
                for count, store in stores.items()
            }
        )
        table.add(what, took[MANY] * 1e6, took[FEW] * 1e6, took[MANY] / took[FEW], 1.3, unit="us", at_least=False)
    return table


def opening(folder):
    """Compare opening with what it can't do without."""
    table = measure.Table(f"Opening {MANY:,} items (theirs: reading their ledger and parsing its JSON)")
    store = Store(folder / "lines", sync="process")
    for number in range(MANY):
        store.add(f"item{number}", {"lr": 0.01, "number": number})

    def parse():
        for line in (store.path / ".axds" / "ledger").read_bytes().splitlines():
            json.loads(line[9:])

    took = measure.interleaved(
        {"open": lambda: measure.seconds(lambda: Store(store.path).version), "parse": lambda: measure.seconds(parse)}
    )
    ours, theirs = took["open"], took["parse"]
    table.add("open", ours * 1e3, theirs * 1e3, ours / theirs, 2, unit="ms", at_least=False)
    return table


def writing(folder):
    """Compare a large addition with np.save and a hash of the same bytes."""
    table = measure.Table("Store, bulk data (theirs: np.save and one XXH3-128)")
    array = np.random.default_rng(0).integers(0, 255, BULK_BYTES, np.uint8)
    store = Store(folder / "bulk", sync="process")
    numbers = iter(range(100))

    def save():
        np.save(folder / "saved.npy", array)
        xxh3_128(array).hexdigest()

    def add():
        store.add("bulk", array)

    def turn(deed):
        array[0] = next(numbers)  # equal bytes would be stored once
        (folder / "saved.npy").unlink(missing_ok=True)
        store.gc(grace_s=0, history="snapshots")
        measure.settle(folder)
        return measure.seconds(deed)

    took = measure.interleaved({"add": lambda: turn(add), "save": lambda: turn(save)})
    ours, theirs = took["add"], took["save"]
    table.add(f"write {BULK_BYTES >> 20} MiB, not synced", ours, theirs, ours / theirs, 1.5, unit="s", at_least=False)
    (folder / "saved.npy").unlink()
    return table


def verifying(folder):
    """Compare verify with xxhsum over the same files."""
    table = measure.Table("Store, verify (theirs: xxhsum -H2)")
    if not shutil.which("xxhsum"):
        print("xxhsum is not on this machine (Debian package xxhash): not compared")
        return table
    array = np.random.default_rng(1).integers(0, 255, BULK_BYTES, np.uint8)
    store = Store(folder / "verified", sync="process")
    for number in range(VERIFIED_BYTES // BULK_BYTES):
        array[0] = number
        store.add(f"part{number}", array)
    payloads = sorted(Path(store.path, ".axds", "payloads").iterdir())

    def check():
        if store.verify():
            raise RuntimeError("a fresh store has faults")

    def xxhsum():
        subprocess.run(["xxhsum", "-H2", *payloads], check=True, capture_output=True)

    took = measure.interleaved(
        {"verify": lambda: measure.seconds(check), "xxhsum": lambda: measure.seconds(xxhsum)}, rounds=5
    )
    ours, theirs = took["verify"], took["xxhsum"]
    table.add(f"{VERIFIED_BYTES >> 20} MiB", ours, theirs, ours / theirs, 1.2, unit="s", at_least=False)
    return table


def main():
    """Measure on the disk, where stores are kept."""
    with tempfile.TemporaryDirectory(prefix="axds-bench-", dir=Path.home()) as name:
        folder = Path(name)
        return [part(folder) for part in (beside_datafolio, overview, growth, opening, writing, verifying)]


if __name__ == "__main__":
    for found in main():
        found.print()
