"""One source of the rig that is tried: a program that puts at a rate and tells how it went."""

import json
import sys
import time

import numpy as np

from ..._core.frame import LogPackage
from ...memory.queue import LogQueue


def main() -> None:
    """Put into the queue from the moment that is read from stdin on; what is late is put at once."""
    name, source, rate_text, payload, seconds_text = sys.argv[1:]
    queue, number, data = LogQueue.attach(name), np.uint8(int(source)), np.zeros(int(payload), np.uint8)
    rate, seconds = int(rate_text), float(seconds_text)
    print("up", flush=True)
    begun = float(sys.stdin.readline())
    count, worst, busy = 0, 0.0, 0.0
    while (now := time.monotonic()) < begun + seconds:
        if now < begun or count >= (now - begun) * rate:
            time.sleep(max(begun + (count + 1) / rate - now, 0))
            continue
        before = time.perf_counter()
        queue.put(LogPackage(number, np.uint64(int((now - begun) * 1e6) + 1), data))
        took = time.perf_counter() - before
        worst, busy = max(worst, took), busy + took
        count += 1
    print(json.dumps({"messages": count, "worst_s": worst, "busy": busy / seconds}))
