"""Can this machine hold the plan? It is tried with a logger and as many processes as sources."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...logs.logger.logger import DataLogger
from ...memory.queue import LogQueue
from ..render import human_seconds
from .finding import Finding

_ONSET_DELAY_S = 0.3
_FEWEST_OF_ASKED = 0.98
_LONGEST_PUT_S = 0.1


@dataclass(frozen=True)
class Plan:
    """The rig that is asked about."""

    sources: int
    rate: int
    payload: int
    seconds: float
    storage: str
    directory: Path

    @property
    def messages_per_s(self) -> int:
        """What all sources put together."""
        return self.sources * self.rate

    @property
    def bytes_per_s(self) -> int:
        """What goes into the journal."""
        return self.messages_per_s * (self.payload + 32)


def examine_rig(plan: Plan) -> list[Finding]:
    """Run the plan for some seconds."""
    with tempfile.TemporaryDirectory(prefix=".axds-doctor-", dir=plan.directory) as folder:
        logger = DataLogger(Path(folder), "doctor", storage=plan.storage)  # type: ignore[arg-type] # checked by the parser
        logger.start()
        try:
            results = _produce(plan, logger.input_queue)
            stopping = time.perf_counter()
        finally:
            logger.stop()
        return [_held(plan, results), _waited(results), _stopped(time.perf_counter() - stopping)]


def _produce(plan: Plan, queue: LogQueue) -> list[dict[str, float]]:
    """Run a program for each source, in a session of its own so that Ctrl-C reaches this process alone."""
    program = [sys.executable, "-c", f"from {__package__}.source import main; main()", queue.name]
    asked = list(map(str, (plan.rate, plan.payload, plan.seconds)))
    processes = [
        subprocess.Popen(  # noqa: S603 this interpreter, with numbers
            [*program, str(at % 256), *asked],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        for at in range(plan.sources)
    ]  # fmt: skip
    try:
        for process in processes:
            _line(process)  # all are up before the first puts
        begin = f"{time.monotonic() + _ONSET_DELAY_S}\n".encode()
        for process in processes:
            os.write(process.stdin.fileno(), begin)  # type: ignore[union-attr] # a pipe, as asked for
        return [json.loads(_line(process)) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    line = process.stdout.readline()  # type: ignore[union-attr] # a pipe, as asked for
    if not line:
        raise RuntimeError("expected every producer to finish, but one died; look at the kernel's log for why")
    return line


def _held(plan: Plan, results: list[dict[str, Any]]) -> Finding:
    asked = plan.rate * plan.seconds
    lowest = min(result["messages"] for result in results)
    good = lowest >= _FEWEST_OF_ASKED * asked
    said = (
        f"{plan.sources} sources at {plan.rate:,} Hz with {plan.payload:,} bytes: the slowest reached "
        f"{lowest / plan.seconds:,.0f} Hz"
    )
    advice = "" if good else "use put_many for blocks of messages, fewer processes than CPUs, or a lower rate"
    return Finding("rig", said, good, advice, {"lowest_hz": lowest / plan.seconds, "asked_hz": plan.rate})


def _waited(results: list[dict[str, Any]]) -> Finding:
    worst = max(result["worst_s"] for result in results)
    good = worst < _LONGEST_PUT_S
    busiest = max(result["busy"] for result in results)
    said = f"the longest took {human_seconds(worst)}, the busiest source spent {busiest:.1%} of its time in them"
    advice = "" if good else "give DataLogger larger lane_bytes, so that a stall of the disk does not reach the sources"
    return Finding("puts", said, good, advice, {"worst_s": worst})


def _stopped(seconds: float) -> Finding:
    said = f"{human_seconds(seconds)} from stop() until everything was in its final form"
    advice = "" if seconds < 5 else "storage='journal' leaves the files to a later assembly"
    return Finding("stop", said, None, advice, {"seconds": seconds})
