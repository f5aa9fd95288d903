"""Progress in bytes that several threads add to, and the word to stop for all of them."""

import threading
from types import TracebackType
from typing import Any, Self


class Stopped(Exception):  # noqa: N818 - raised in threads whose result nobody waits for; it never leaves the room
    """Another thread failed, so this one's work is not wanted any more."""


class Meter:
    """Counts bytes; every piece of work calls `add`, which ends it after `stop`."""

    def __init__(self, label: str, total_bytes: int | None = None, *, shown: bool = False) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._bar = _bar(label, total_bytes) if shown else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, size_bytes: int) -> None:
        """Note that much done."""
        if self._stopped:
            raise Stopped
        if self._bar is not None:
            with self._lock:
                self._bar.update(size_bytes)

    def stop(self) -> None:
        """End the other threads at their next piece."""
        self._stopped = True


def _bar(label: str, total_bytes: int | None) -> Any:
    from tqdm import tqdm  # noqa: PLC0415 only who watches pays for it

    bar_type = type("Bar", (tqdm,), {"monitor_interval": 0})  # its monitor is a thread that would outlive the bar
    return bar_type(total=total_bytes, desc=label, unit="B", unit_scale=True, unit_divisor=1024)
