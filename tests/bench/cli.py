"""What watching costs the watched: CPU time for a message with and without `axds log top`; and what an import costs."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure

from ataraxis_data_structures import DataLogger

RATE, SECONDS = 200_000, 3.0

# Puts at the rate in bursts of a millisecond; prints messages and CPU seconds.
PRODUCER = """
import json, sys, time
import numpy as np
from ataraxis_data_structures import LogPackage
from ataraxis_data_structures.memory.channel import LogQueue
queue, rate, seconds = LogQueue.attach(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
source, data = np.uint8(1), np.zeros(64, np.uint8)
stamp, count = np.uint64(1), 0
begun, spent = time.monotonic(), time.process_time()
while (now := time.monotonic()) < begun + seconds:
    due = int((now - begun) * rate)
    for _ in range(due - count):
        queue.put(LogPackage(source, stamp, data))
    count = due
    time.sleep(0.001)
print(json.dumps([count, time.process_time() - spent]))
"""


def cpu_s(pid):
    """Return the CPU seconds of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def cpu_ns_per_message(*, watched):
    """Return the CPU time that producer and logger process spend on a message."""
    with tempfile.TemporaryDirectory() as folder:
        logger = DataLogger(Path(folder), "bench-top", storage="journal")
        logger.start()
        top = None
        if watched:
            words = [sys.executable, "-m", "ataraxis_data_structures.cli", "log", "top", "bench-top"]
            top = subprocess.Popen(words, stdout=subprocess.PIPE)
            top.stdout.readline()
        before = cpu_s(logger.statistics.pid)
        words = [sys.executable, "-c", PRODUCER, logger.input_queue.name, str(RATE), str(SECONDS)]
        done = subprocess.run(words, capture_output=True, check=True)
        count, spent = json.loads(done.stdout)
        spent += cpu_s(logger.statistics.pid) - before
        if top is not None:
            top.terminate()
            top.communicate()
        logger.stop()
    return spent / count * 1e9


def import_ms(code):
    """Return the milliseconds of a program."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - begun) * 1000


def main():
    watching = measure.Table(f"axds log top on {RATE:,} messages a second (theirs: nobody watches)")
    found = measure.interleaved(
        {
            "watched": lambda: cpu_ns_per_message(watched=True),
            "alone": lambda: cpu_ns_per_message(watched=False),
        }
    )
    ratio = found["watched"] / found["alone"]
    watching.add("CPU for a message", found["watched"], found["alone"], ratio, 1.05, unit="ns", at_least=False)
    watching.print()
    importing = measure.Table("import ataraxis_data_structures (theirs: numpy alone)")
    found = measure.interleaved(
        {
            "ours": lambda: import_ms("import numpy, ataraxis_data_structures"),
            "numpy": lambda: import_ms("import numpy"),
        },
        rounds=15,
    )
    beyond = found["ours"] - found["numpy"]
    importing.add("beyond numpy, as ms", found["ours"], found["numpy"], beyond, 80, unit="ms", at_least=False)
    importing.print()
    return [watching, importing]


if __name__ == "__main__":
    main()
