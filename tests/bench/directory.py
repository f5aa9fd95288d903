"""What directories and memo cost, beside datamate, beside joblib, and beside a bare memory map."""

import statistics
import tempfile
import time
from pathlib import Path

import measure
import numpy as np
import peers

from ataraxis_data_structures import Store
from ataraxis_data_structures.store.directory import Directory, set_root_dir, settings
from ataraxis_data_structures.store.directory.roots import Home

PEER, JOBLIB = "datamate==1.0.0", "joblib==1.5.2"
WRITER = ("datamate==1.0.0",)
ROWS, WIDTH = 10_000, 64
APPENDS, BLOCK = 10_000, 500
FEW, MANY = 10, 10_000
CALLS = 200

READ = """
import time, warnings
warnings.simplefilter("ignore")
import datamate, numpy as np
datamate.set_root_dir(args[0])
exp = datamate.Directory("a")
exp.x = np.zeros((args[1], args[2]))
x = exp.x
rows = []
for number in range(args[3]):
    start = time.perf_counter()
    x[number]
    rows.append(time.perf_counter() - start)
appends = []
for number in range(args[3]):
    start = time.perf_counter()
    exp.extend("grown", np.zeros((1, args[2])))
    appends.append(time.perf_counter() - start)
print(json.dumps([sorted(rows)[len(rows) // 2], sorted(appends)[len(appends) // 2]]))
"""
MEMO = """
import time, warnings
warnings.simplefilter("ignore")
import joblib, numpy as np
memory = joblib.Memory(args[0], verbose=0)
code = "import numpy as np\\ndef compute(n):\\n    return np.random.default_rng(n).random(n) if n > 1 else 1.5\\n"
open(args[0] + "/lab_functions.py", "w").write(code)
import sys
sys.path.insert(0, args[0])
import lab_functions
compute = memory.cache(lab_functions.compute)
found = []
for size in args[1]:
    compute(size)
    times = []
    for _ in range(args[2] if size < 1 << 20 else 15):
        start = time.perf_counter()
        value = compute(size)
        total = value.sum() if size > 1 else value
        times.append(time.perf_counter() - start)
    found.append(sorted(times)[len(times) // 2])
print(json.dumps(found))
"""
SIZES = {"a scalar": 1, "1 MB": 125_000, "64 MB": 8_000_000}


def median_us(deed, calls=CALLS):
    """Return the median microseconds of a call with its number."""
    deed(0)
    return statistics.median(measure.seconds(lambda number=number: deed(number)) for number in range(calls)) * 1e6


def reading(folder):
    """Compare a row and a name with a bare memory map of the same file, and a row with datamate."""
    table = measure.Table(f"Directory, mapped arrays (theirs: a bare memory map, or {PEER})")
    set_root_dir(folder / "ours")
    exp = Directory("a")
    exp.extend("x", np.random.default_rng(0).random((ROWS, WIDTH)))
    store, path = Store(folder / "ours"), folder / "ours" / "a" / "x.npy"
    offset = store.info("a/x").about["offset"]

    def bare():
        return np.memmap(path, "f8", "r", offset, (ROWS, WIDTH))

    ours, theirs = exp.x, bare()

    def rows(array):
        start = time.perf_counter()
        for number in range(ROWS):
            array[number]
        return (time.perf_counter() - start) / ROWS

    took = measure.interleaved({"ours": lambda: rows(ours), "bare": lambda: rows(theirs)})
    table.add("a row, beside a bare map", took["ours"] * 1e6, took["bare"] * 1e6, took["ours"] / took["bare"], 1.5,
              unit="us", at_least=False)  # fmt: skip
    peer_row, peer_append = peers.run(READ, str(folder / "theirs"), ROWS, WIDTH, CALLS, requirements=WRITER)
    table.add("a row, beside datamate", took["ours"] * 1e6, peer_row * 1e6, peer_row / took["ours"], 50, unit="us")
    opened = measure.interleaved(
        {"ours": lambda: median_us(lambda _: exp.x), "bare": lambda: median_us(lambda _: bare())}
    )
    table.add("exp.x by name", opened["ours"], opened["bare"], opened["ours"] / opened["bare"], 10, unit="us",
              at_least=False)  # fmt: skip
    return table, peer_append


def appending(folder, peer_append):
    """Compare an append with datamate's, and the last appends with the first."""
    table = measure.Table(f"Directory.extend, a row at a time (theirs: {PEER})")
    row = np.zeros((1, WIDTH))
    for sync, bound in (("process", 100), ("power", 5)):
        store = Store(folder / f"appended-{sync}", sync=sync)
        count = APPENDS if sync == "process" else APPENDS // 10
        took = [measure.seconds(lambda store=store: store.extend("x", row)) for _ in range(count)]
        middle = statistics.median(took)
        table.add(f"an append, {'synced' if sync == 'power' else 'not synced'}", middle * 1e6, peer_append * 1e6,
                  peer_append / middle, bound, unit="us")  # fmt: skip
        if sync == "process":
            first, last = (statistics.median(part) for part in (took[:BLOCK], took[-BLOCK:]))
            what = f"the last of {APPENDS:,} beside the first"
            table.add(what, last * 1e6, first * 1e6, last / first, 1.5, unit="us", at_least=False)
    return table


def finding(folder):
    """Compare finding a directory by its configuration among many and among few."""
    table = measure.Table(f"Directory(config) among {MANY:,} (theirs: among {FEW})")
    found = {}
    for count in (FEW, MANY):
        set_root_dir(folder / f"found{count}")
        fill(folder / f"found{count}", count)
        found[count] = lambda count=count: found_us(folder / f"found{count}", count)
    took = measure.interleaved(found)
    table.add("find", took[MANY], took[FEW], took[MANY] / took[FEW], 2, unit="us", at_least=False)
    return table


def fill(root, count):
    """Give each directory its configuration."""
    store = Store(root, sync="process")
    for start in range(0, count, 1000):
        with store.batch():
            for number in range(start, min(start + 1000, count)):
                settings.write_meta(store, Home(root, f"d{number}"), {"number": number, "lr": 0.5}, settings.DONE)


def found_us(root, count):
    """Return the median microseconds of a find."""
    set_root_dir(root)
    return median_us(lambda number: Directory({"number": number % count, "lr": 0.5}))


def remembering(folder):
    """Compare a result that is there with joblib's."""
    table = measure.Table(f"store.memo, a result that is there, read to its end (theirs: {JOBLIB})")
    store = Store(folder / "memo")

    @store.memo
    def compute(n):
        return np.random.default_rng(n).random(n) if n > 1 else 1.5

    (folder / "joblib").mkdir()
    sizes = list(SIZES.values())
    theirs = peers.run(MEMO, str(folder / "joblib"), sizes, CALLS, requirements=(JOBLIB, "numpy"))
    for (what, size), their_s in zip(SIZES.items(), theirs, strict=True):

        def call(_, size=size):
            value = compute(size)
            return value.sum() if size > 1 else value

        ours = median_us(call, CALLS if size < 1 << 20 else 15)
        table.add(what, ours, their_s * 1e6, their_s * 1e6 / ours, 2, unit="us")
    return table


def main():
    """Measure on the disk, where stores are kept."""
    with tempfile.TemporaryDirectory(prefix="axds-bench-", dir=Path.home()) as name:
        folder = Path(name)
        first, peer_append = reading(folder)
        tables = [first, appending(folder, peer_append), finding(folder), remembering(folder)]
        set_root_dir(None)
        return tables


if __name__ == "__main__":
    for made in main():
        made.print()
