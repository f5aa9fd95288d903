"""A progress bar that may be advanced from any thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

Progress = Callable[[int], object]


@contextmanager
def progress_bar(what: str, steps: int, *, shown: bool, unit: str = "message") -> Iterator[Progress]:
    """Give a function that advances a bar by so many steps; one that does nothing unless the bar is shown."""
    if not shown:
        yield lambda _: None
        return
    from tqdm import tqdm  # noqa: PLC0415  # only who watches pays for it

    bar_type = type("Bar", (tqdm,), {"monitor_interval": 0})  # its monitor is a thread that would outlive the bar
    lock = Lock()
    with bar_type(total=steps, desc=what, unit=unit) as bar:

        def advance(count: int) -> None:
            with lock:
                bar.update(count)

        yield advance
