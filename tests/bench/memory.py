"""Shared arrays against the published library and against a bare numpy index, in one run."""

import json
import multiprocessing
import statistics
import subprocess
import time

import measure
import numpy as np
import peers

from ataraxis_data_structures import SharedMemoryArray

NAME = "axds-bench"
CALLS = 100_000
ADDS = 1_000_000  # by each of four processes
WAKES = 10_000
WAIT_BOUND_MS = 200

STATEMENTS = {
    "read": "sma[5]",
    "write": "sma[5] = value",
    "block": "with sma.array() as array: array[5] += 1",
    "slice": "sma[:100]",
}

# Also the text of what the peer's process runs: both sides time the same loops in the same way.
TIMER = """
import time

def timer(statement, **names):
    exec(f"def loop(count):\\n    for _ in range(count):\\n        {statement}", names)
    return names["loop"]

EMPTY = timer("pass")

def per_call_ns(loop, calls):
    start = time.perf_counter_ns()
    loop(calls)
    middle = time.perf_counter_ns()
    EMPTY(calls)
    return (2 * middle - start - time.perf_counter_ns()) / calls
"""
timing: dict = {}
exec(TIMER, timing)
timer, per_call_ns = timing["timer"], timing["per_call_ns"]

PEER = f"""
{TIMER}
import json, sys, numpy as np
from ataraxis_data_structures import SharedMemoryArray
statements, calls = json.loads(sys.argv[1])
sma = SharedMemoryArray.create_array("axds-bench-peer", np.zeros(200), exists_ok=True)
loops = {{name: timer(text, sma=sma, value=1.5) for name, text in statements.items()}}
print("ready", flush=True)
for line in sys.stdin:
    print(per_call_ns(loops[line.strip()], calls), flush=True)
sma.destroy()
"""


class Peer:
    """The published library in a process that stays, so that its turns come between ours."""

    def __init__(self):
        arguments = json.dumps([STATEMENTS, CALLS // 5])
        self.process = subprocess.Popen(
            [peers.environment(peers.PEER), "-I", "-c", PEER, arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.process.stdout.readline()

    def measure(self, name):
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.communicate()


def single(sma):
    """One process, no rival: what the lock and the index cost."""
    with sma.array(with_lock=False) as bare:
        names = {"sma": sma, "bare": bare, "value": 1.5}
    statements = STATEMENTS | {"bare read": "bare[5]", "bare write": "bare[5] = value", "add": "sma.add(5, 1.0)"}
    loops = {name: timer(text, **names) for name, text in statements.items()}
    peer = Peer()
    cases = {name: lambda loop=loop: per_call_ns(loop, CALLS) for name, loop in loops.items()}
    cases |= {f"peer {name}": lambda name=name: peer.measure(name) for name in STATEMENTS}
    figures = measure.interleaved(cases, rounds=15)
    peer.close()
    rows = [
        ("`a[5]` / bare numpy", "read", "bare read", 2.0),
        ("`a[5] = v` / bare numpy", "write", "bare write", 2.0),
        ("`a[5]` / 7.2.0", "read", "peer read", 0.25),
        ("`a[5] = v` / 7.2.0", "write", "peer write", 0.25),
        ("`with a.array() as x: x[5] += 1` / 7.2.0", "block", "peer block", 0.25),
        ("`a.add(5, 1.0)` / that block of 7.2.0", "add", "peer block", 0.25),
        ("`a[:100]` / 7.2.0", "slice", "peer slice", 0.5),
    ]
    table = measure.Table("SharedMemoryArray, one process, one element of float64 or 100")
    for what, mine, other, bound in rows:
        ours, theirs = figures[mine], figures[other]
        table.add(what, ours, theirs, ours / theirs, bound, unit="ns", at_least=False)
    return table


# Runs in both libraries: `deed` is the statement that adds one to element 0.
RACE = """
import multiprocessing, time

def add_many(sma, deed, count, timed, start, waits):
    lines = f"def loop(count):\\n    longest, before = 0, clock()\\n    for _ in range(count):\\n        {deed}\\n"
    if timed:
        lines += "        now = clock()\\n        longest, before = max(longest, now - before), now\\n"
    names = {"sma": sma, "clock": time.perf_counter_ns}
    exec(lines + "    return longest", names)
    start.wait()
    waits.put(names["loop"](count) / 1e6)

def race(sma, deed, count, timed):
    sma[0] = 0
    context = multiprocessing.get_context("fork")
    start, waits = context.Barrier(5), context.SimpleQueue()
    children = [context.Process(target=add_many, args=(sma, deed, count, timed, start, waits)) for _ in range(4)]
    [child.start() for child in children]
    start.wait()
    began = time.perf_counter()
    longest = max([waits.get() for _ in children])
    took = time.perf_counter() - began
    [child.join() for child in children]
    assert sma[0] == 4 * count, (sma[0], 4 * count)
    return 4 * count / took, longest
"""
racing: dict = {}
exec(RACE, racing)
race = racing["race"]

PEER_RACE = f"""
{RACE}
import numpy as np
from ataraxis_data_structures import SharedMemoryArray
sma = SharedMemoryArray.create_array("axds-bench-peer", np.zeros(4), exists_ok=True)
deed = "with sma.array(with_lock=True) as array: array[0] += 1"
print(json.dumps([race(sma, deed, *args, False), race(sma, deed, *args, True)]))
sma.destroy()
"""


def contended(sma):
    """Four processes in tight loops on one element; each sum is exact or the race fails."""
    waits, rates = {"ours": [], "theirs": []}, {"ours": [], "theirs": []}
    for _ in range(3):
        rates["ours"].append(race(sma, "sma.add(0, 1)", ADDS, False)[0])
        waits["ours"].append(race(sma, "sma.add(0, 1)", ADDS // 4, True)[1])
        (rate, _), (_, wait) = peers.run(PEER_RACE, ADDS // 20)
        rates["theirs"].append(rate)
        waits["theirs"].append(wait)
    table = measure.Table("SharedMemoryArray, 4 processes, 4 million adds to one element")
    ours, theirs = (statistics.median(rates[who]) for who in rates)
    table.add("adds a second / `with` blocks of 7.2.0", ours, theirs, ours / theirs, 10, unit="1/s")
    ours, theirs = (max(waits[who]) for who in waits)
    table.add("longest wait of any / bound", ours, WAIT_BOUND_MS, ours / WAIT_BOUND_MS, 1, unit="ms", at_least=False)
    table.add("longest wait of any / 7.2.0", ours, theirs, ours / theirs, None, unit="ms",
              at_least=False)  # fmt: skip
    return table


def sleeper(name, count, times):
    """Wait for each change of the array and note how long ago it was made."""
    with SharedMemoryArray.attach(name) as sma:
        began = time.process_time()
        version, late = sma.version, []
        sma[1] = 1
        first = version = version + 1
        while version < first + count:  # one that comes late finds several writes at once
            version = sma.wait_for_change(version)
            late.append(time.monotonic_ns() - int(sma[0]))
        times.put((late, time.process_time() - began))


def wakes(_):
    """One process sleeps, another writes every millisecond."""
    context = multiprocessing.get_context("fork")
    times = context.SimpleQueue()
    with SharedMemoryArray.create_array(f"{NAME}-wake", np.zeros(2, dtype="i8"), exists_ok=True) as sma:
        child = context.Process(target=sleeper, args=(sma.name, WAKES, times))
        child.start()
        while not sma[1]:
            time.sleep(0.001)
        for _ in range(WAKES):
            time.sleep(0.0005)
            sma[0] = time.monotonic_ns()
        late, cpu_s = times.get()
        child.join()
    p50, p99, worst = (np.percentile(late, at) / 1e3 for at in (50, 99, 100))
    table = measure.Table(f"wait_for_change, {WAKES:,} wake-ups across processes")
    table.add("from the write to the woken reader, p50 / bound", p50, 30, p50 / 30, 1, unit="us", at_least=False)
    for what, figure in (("p99", p99), ("longest", worst)):
        table.add(f"{what} / p50", figure, p50, figure / p50, None, unit="us", at_least=False)
    table.add("CPU time of a wake-up", cpu_s / WAKES * 1e6, 0, 0, None, unit="us", at_least=False)
    return table


def main():
    """Print the tables and return them."""
    tables = []
    for part in (single, contended, wakes):
        with SharedMemoryArray.create_array(NAME, np.zeros(200), exists_ok=True) as sma:
            tables.append(part(sma))
        tables[-1].print()
    return tables


if __name__ == "__main__":
    main()
