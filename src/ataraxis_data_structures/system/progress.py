"""Progress in bytes that several threads add to, and the word to stop for all of them."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

Progress = Callable[[int], object]
LARGE_BYTES = 256 << 20


class Stopped(Exception):  # noqa: N818 - raised in threads whose result nobody waits for; it never leaves the room
    """Another thread failed, so this one's work is not wanted any more."""


class Meter:
    """Counts bytes; every piece of work calls `add`, which ends it after `stop`."""

    def __init__(self, label: str, total_bytes: int | None = None, *, shown: bool = False) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._bar = make_bar(label, total_bytes, unit="B", unit_scale=True, unit_divisor=1024) if shown else None

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


class LateBar:
    """A bar for bytes that appears on a terminal once there are `LARGE_BYTES` of them; TQDM_DISABLE=1 hides it."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None

    def add(self, size_bytes: int, total_bytes: int) -> None:
        """Note that much done, of what is known to come."""
        if total_bytes < LARGE_BYTES:
            return
        if self._bar is None:
            options = {"unit": "B", "unit_scale": True, "unit_divisor": 1024, "leave": False, "disable": None}
            self._bar = make_bar(self._label, total_bytes, **options)
        self._bar.total = total_bytes
        self._bar.update(size_bytes)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _StandardError:
    """Standard error as a bar writes to it: where there is none, or nobody reads it any more, the bar is not shown."""

    @property
    def encoding(self) -> str:
        return getattr(sys.stderr, "encoding", None) or "ascii"

    def write(self, text: str) -> None:
        # None without a console (AttributeError), closed or of another encoding (ValueError), a broken pipe (OSError)
        with suppress(AttributeError, OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(AttributeError, OSError, ValueError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        with suppress(AttributeError, OSError, ValueError):
            return sys.stderr.isatty()
        return False

    def fileno(self) -> int:
        return sys.stderr.fileno()


def make_bar(label: str, total: int | None, **options: Any) -> Any:
    """Return a bar of tqdm, which can't fail; a monitor that adjusts it would be a thread that outlives the bar."""
    from tqdm import tqdm  # noqa: PLC0415 only who watches pays for it

    bar = type("Bar", (tqdm,), {"monitor_interval": 0})
    return bar(total=total, desc=label, file=_StandardError(), dynamic_ncols=True, **options)


@contextmanager
def progress_bar(what: str, steps: int, *, shown: bool, unit: str = "message") -> Iterator[Progress]:
    """Give a function that advances a bar by so many steps; one that does nothing unless the bar is shown."""
    if not shown:
        yield lambda _: None
        return
    lock = threading.Lock()
    with make_bar(what, steps, unit=unit) as bar:

        def advance(count: int) -> None:
            with lock:
                bar.update(count)

        yield advance
