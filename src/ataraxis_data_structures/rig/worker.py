"""A source's process: it opens the device, waits for the word to begin, and puts until it is told to end."""

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..logs.logger.source import LogSource
from .devices.device import Losses
from .devices.opened import open_device
from .plan import SourcePlan

_END_S = 5.0  # a producer that does not end within this time is killed


class Worker:
    """The recording's end of a source's process; who makes it calls `put_away`."""

    def __init__(self, plan: SourcePlan, folder: Path) -> None:
        self.plan = plan
        self.losses = Losses()
        self.error = ""
        """What the process said before it ended, if it failed."""
        self.ended: int | None = None
        """Its exit status, negative for a signal; None while it runs."""
        context = get_context("spawn")
        self._link, theirs = context.Pipe()
        self._process = context.Process(
            target=run_source, args=(plan, folder, theirs), name=f"axds record: {plan.name}", daemon=True
        )
        self._process.start()
        theirs.close()

    def wait_until_open(self) -> dict[str, Any]:
        """Return what the device says of itself; ValueError if it can't be opened."""
        while not self._link.poll(0.05):
            if self.look() is not None:
                break
        kind, what = self._heard()
        if kind != "open":
            raise ValueError(f"{self.plan.where}: {self.error or f'the process ended with status {self.ended}'}")
        described: dict[str, Any] = what
        return described

    def begin(self, source: LogSource) -> None:
        """Hand the source over; `wait_until_begun` waits until messages are put."""
        with suppress(BrokenPipeError):  # it died meanwhile, which the next look tells
            self._link.send(source)

    def wait_until_begun(self) -> None:
        """Return when the messages of the device are put, or the process has ended."""
        while self.look() is None:
            if self._link.poll(0.05):
                self._heard()
                return

    def look(self) -> int | None:
        """Return the exit status of the process, None while it runs."""
        if self.ended is None and self._process.exitcode is not None:
            self._process.join()
            while self._link.poll() and self._heard()[0]:
                pass
            self.ended = self._process.exitcode
        return self.ended

    def ask_to_end(self) -> None:
        """End the loop of the source."""
        if self.look() is None and self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGTERM)

    def wait_for_end(self, deadline_s: float) -> None:
        """Wait until the process has ended; kill it at a time of the monotonic clock."""
        self._process.join(max(deadline_s - time.monotonic(), 0))
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            self.error = self.error or f"it did not end within {_END_S:g} s and was killed"
        self.look()

    def put_away(self) -> None:
        """End the process at once if it runs, and close what leads to it."""
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join()
        self.look()
        self._link.close()
        self._process.close()

    def _heard(self) -> tuple[str, Any]:
        """Return the next thing that the process said; ("", None) if it said nothing more."""
        heard: tuple[str, Any] = ("", None)
        try:
            if self._link.poll():
                heard = self._link.recv()
        except (EOFError, OSError):
            return heard
        kind, what = heard
        if kind == "failed":
            self.error = what
        elif kind == "ended":
            self.losses = what
        return heard


def end_all(workers: list[Worker]) -> None:
    """Ask all processes to end, and wait for them."""
    for worker in workers:
        worker.ask_to_end()
    deadline_s = time.monotonic() + _END_S
    for worker in workers:
        worker.wait_for_end(deadline_s)


def run_source(plan: SourcePlan, folder: Path, link: Connection) -> None:
    """Be the process of a source."""
    _listen_to_the_recording()
    sys.path[:0] = [str(folder)]
    losses = Losses()
    try:
        device = open_device(plan)
        try:
            link.send(("open", device.described))
            source = _received(link)
            if source is not None:
                device.flush()
                link.send(("begun", None))
                device.produce(source, losses)
        finally:
            device.close()
            link.send(("ended", losses))
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 whatever a device or a function raises is told to the recording
        if os.environ.get("AXDS_DEBUG"):
            traceback.print_exc()
        with suppress(BrokenPipeError):
            link.send(("failed", _in_one_line(error)))
        sys.exit(1)


def _received(link: Connection) -> LogSource | None:
    """Return the source; None if the recording was given up before it began."""
    try:
        source: LogSource = link.recv()
    except EOFError:
        return None
    return source


def _listen_to_the_recording() -> None:
    """Leave Ctrl-C to the recording, which a terminal sends to all its processes, and end when it dies."""
    # Functions and not SIG_IGN, which the programs that a producer starts would inherit. The loop of a source has its
    # own handlers for as long as it runs.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_S)
    os._exit(1)


def _in_one_line(error: Exception) -> str:
    """Return an error with the place in the user's own file where it was raised."""
    text = " ".join(str(error).split()) or type(error).__name__
    package = str(Path(__file__).parents[1])
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(package)]
    frames = [one for one in frames if not one.filename.startswith(("<", sys.base_prefix, sys.prefix))]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    named = text if isinstance(error, OSError) and not frames else f"{type(error).__name__}: {text}"
    return f"{named}{place}"
