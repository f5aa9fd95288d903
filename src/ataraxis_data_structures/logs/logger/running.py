"""Loops of a rig that end as they should: at Ctrl-C, when the logger stops, or after a time."""

import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self

from ...memory.queue import LogQueue

_RUNNING = ("running", "restarting")
_STEP_S = 0.05


class _Interrupt:
    """Takes the first Ctrl-C (or SIGTERM) for the end of a loop; the second one does what it does elsewhere."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._before):
            self._restore(number)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.asked.set()
        self._restore(number)

    def _restore(self, number: int) -> None:
        before = self._before.pop(number, None)
        if before is not None:
            signal.signal(number, before)


def run_loop(queue: LogQueue, rate_hz: float | None, duration_s: float | None) -> Iterator[float]:
    """Yield the seconds since the loop began, `rate_hz` times a second, until it is to end.

    A loop that comes late goes on at once, and takes the turns that it missed off its count. The logger may start
    after the loop began: what is put before waits in the lanes.
    """
    if rate_hz is not None and rate_hz <= 0:
        raise ValueError(f"expected a rate above 0 Hz, got {rate_hz}")
    return _loop(queue, rate_hz, duration_s)


def _loop(queue: LogQueue, rate_hz: float | None, duration_s: float | None) -> Iterator[float]:
    began_s = time.monotonic()
    turn, was_running = 0, False
    with _Interrupt() as interrupt:
        while not interrupt.asked.is_set():
            elapsed_s = time.monotonic() - began_s
            if duration_s is not None and elapsed_s >= duration_s:
                return
            is_running = queue.state in _RUNNING
            if (was_running and not is_running) or queue.state in ("closed", "failed"):
                return
            was_running |= is_running
            wait_s = 0.0 if rate_hz is None else turn / rate_hz - elapsed_s
            if wait_s > 0:
                interrupt.asked.wait(min(wait_s, _STEP_S))
                continue
            yield elapsed_s
            turn = turn + 1 if rate_hz is None else max(turn + 1, int((time.monotonic() - began_s) * rate_hz))
