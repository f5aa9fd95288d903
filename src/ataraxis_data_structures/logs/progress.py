"""A progress bar that may be advanced from any thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from ..files.meter import make_bar

Progress = Callable[[int], object]


@contextmanager
def progress_bar(what: str, steps: int, *, shown: bool, unit: str = "message") -> Iterator[Progress]:
    """Give a function that advances a bar by so many steps; one that does nothing unless the bar is shown."""
    if not shown:
        yield lambda _: None
        return
    lock = Lock()
    with make_bar(what, steps, unit=unit) as bar:

        def advance(count: int) -> None:
            with lock:
                bar.update(count)

        yield advance
