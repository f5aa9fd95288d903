"""What `axds log top` and `axds log watch` cost the watched in CPU time for a message; and what an import costs."""

import contextlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure

from ataraxis_data_structures import DataLogger

RATE, SECONDS, ROUNDS = 200_000, 1.5, 21

# Puts at the rate in bursts of a millisecond until its stdin is closed.
PRODUCER = """
import sys, time, threading
import numpy as np
from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.queue import LogQueue
queue, rate, ended = LogQueue.attach(sys.argv[1]), int(sys.argv[2]), threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
source, stamp, data = np.uint8(1), np.uint64(1), np.zeros(64, np.uint8)
begun, count = time.monotonic(), 0
while not ended.is_set():
    due = int((time.monotonic() - begun) * rate)
    for _ in range(due - count):
        queue.put(LogPackage(source, stamp, data))
    count = due
    time.sleep(0.001)
"""


def cpu_ns(pid):
    """Return the CPU nanoseconds of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


@contextlib.contextmanager
def running_rig():
    """Run a logger and a producer; yield a callable that tells messages accepted and the CPU time spent so far."""
    with tempfile.TemporaryDirectory() as folder, DataLogger(Path(folder), "bench-top", storage="journal") as logger:
        words = [sys.executable, "-c", PRODUCER, logger.input_queue.name, str(RATE)]
        with subprocess.Popen(words, stdin=subprocess.PIPE) as producer:
            pids = [producer.pid, logger.statistics.pid]
            while 1 not in logger.statistics.sources:
                time.sleep(0.01)
            yield lambda: (logger.statistics.sources[1].accepted, sum(map(cpu_ns, pids)))
            producer.stdin.close()


@contextlib.contextmanager
def top():
    """Follow the logger as somebody at a terminal does; yield the process."""
    words = [sys.executable, "-m", "ataraxis_data_structures.cli", "log", "top", "bench-top"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as watching:
        time.sleep(2)  # it has looked once
        yield watching
        watching.kill()


# The page of `axds log watch`, and a browser's part: it asks for all figures each second.
WATCH = """
import sys, threading, time
from urllib.request import urlopen
from ataraxis_data_structures.cli.log.live_page.figures import LiveLog
from ataraxis_data_structures.cli.log.live_page.server import LiveServer
from ataraxis_data_structures.logs.logger.statistics import running_loggers
(log,) = [LiveLog(*found) for found in running_loggers().items() if found[0].name == "bench-top_data_log"]
server = LiveServer(log)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    urlopen(server.url.replace("/?", "/data.json?")).read()
    time.sleep(1)
"""


@contextlib.contextmanager
def watch():
    """Follow the logger as a browser does; yield the process."""
    with subprocess.Popen([sys.executable, "-c", WATCH]) as watching:
        time.sleep(2)
        yield watching
        watching.kill()


def ns_per_message(spent):
    """Return the CPU time that producer and logger process spend on a message, and messages a second."""
    time.sleep(0.1)
    before, begun = spent(), time.monotonic()
    time.sleep(SECONDS)
    after, elapsed_s = spent(), time.monotonic() - begun
    count = after[0] - before[0]
    return (after[1] - before[1]) / count, count / elapsed_s


def paired(follow):
    """Return, by case, the figures of each round; all cases watch the same two processes, in turns."""
    # Nobody watches while it is stopped: to start it anew would cost the caches more than it does.
    cases = {"watched": signal.SIGCONT, "alone": signal.SIGSTOP, "alone again": signal.SIGSTOP}
    found = {name: [] for name in cases}
    with running_rig() as spent, follow() as watching:
        for turn in range(ROUNDS):
            names = list(cases)[turn % 3 :] + list(cases)[: turn % 3]  # each case follows each other one
            for name in names:
                watching.send_signal(cases[name])
                found[name].append(ns_per_message(spent))
    return found


def watching_table(follow, command):
    """Measure what a command costs, beside the noise: the same comparison with nobody in both."""
    found = paired(follow)
    cost = {name: [figure for figure, _ in figures] for name, figures in found.items()}
    rate = statistics.median(rate for figures in found.values() for _, rate in figures)
    table = measure.Table(f"{command} on {rate:,.0f} messages a second (theirs: nobody watches)")
    for what, ours, theirs in (("CPU for a message", "watched", "alone"), ("noise", "alone again", "alone")):
        ratio = statistics.median(a / b for a, b in zip(cost[ours], cost[theirs], strict=True))
        a, b = statistics.median(cost[ours]), statistics.median(cost[theirs])
        table.add(what, a, b, ratio, 1.05, unit="ns", at_least=False)
    table.print()
    spread = ", ".join(f"{name} {min(values):.0f} to {max(values):.0f} ns" for name, values in cost.items())
    sys.stdout.write(f"single runs: {spread}\n\n")
    return table


def import_ms(code):
    """Return the milliseconds of a program."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - begun) * 1000


IMPORTS = {
    "the package": "import numpy, ataraxis_data_structures",
    "every public name": "import numpy; from ataraxis_data_structures import *",
    "numpy": "import numpy",
}


def import_table():
    """Measure an import beyond numpy's own."""
    table = measure.Table("import ataraxis_data_structures (theirs: numpy alone; the ratio is ms beyond it)")
    found = measure.interleaved({name: lambda code=code: import_ms(code) for name, code in IMPORTS.items()}, rounds=15)
    theirs = found.pop("numpy")
    for name, ours in found.items():
        bound = 80 if name == "the package" else None
        table.add(name, ours, theirs, ours - theirs, bound, unit="ms", at_least=False)
    table.print()
    return table


def main():
    return [watching_table(top, "axds log top"), watching_table(watch, "axds log watch"), import_table()]


if __name__ == "__main__":
    main()
