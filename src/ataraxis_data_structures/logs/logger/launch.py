"""Starts the logger process as a program of its own and hears from it."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.spawn import get_executable
from pathlib import Path
from typing import Any

from ...errors import QueueBusyError
from ..control_words import REPORT

_START_S = 60.0
_KEPT_BYTES = 4096

# Its own standard library comes first, so that a folder of the user's with a queue.py in it shadows nothing.
_BOOT = """
import json, sys
settings = json.loads(sys.stdin.buffer.readline())
sys.path += [path for path in settings["path"] if path not in sys.path]
from ataraxis_data_structures.logs.logger.service import main
main(settings)
"""


class LoggerProcess:
    """A running logger process: none of our memory, no standard stream of ours, a session of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        if getattr(sys, "frozen", False):
            raise RuntimeError("expected a Python interpreter to run the logger process with, got a frozen application")
        settings = settings | {"path": _import_path()}
        command = [
            os.fsdecode(get_executable()),
            *_interpreter_options(),
            "-c",
            _BOOT,
            "axds-logger",
            settings["directory"],
        ]
        self._child = subprocess.Popen(  # noqa: S603 our own interpreter
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._said = self._unread = b""
        self._watch = _open_pidfd(self._child.pid)
        try:
            assert self._child.stdin is not None  # noqa: S101 asked for above
            with self._child.stdin as pipe:
                pipe.write(json.dumps(settings).encode() + b"\n")
        except OSError:  # it died at once: what it said about that is heard below
            pass

    @property
    def pid(self) -> int:
        """The pid of the logger process."""
        return self._child.pid

    @property
    def last_words(self) -> str:
        """The end of what it wrote to its standard error, such as a traceback."""
        return self._said.decode(errors="replace").strip()

    def wait_ready(self, timeout_s: float) -> None:
        """Return when it takes messages; raise what kept it from that."""
        deadline = time.monotonic() + timeout_s + _START_S
        for facts in self.reports(deadline):
            if "ready" in facts:
                return
            if "busy" in facts:
                raise QueueBusyError(facts["busy"])
            if "error" in facts:
                raise OSError(facts["errno"], facts["error"])
        raise ChildProcessError(f"expected a logger process that starts, got one that ended: {self.last_words}")

    def reports(self, deadline: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield what it reports until it has ended."""
        stream = self._child.stderr
        if stream is None:
            return
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        if self._watch >= 0:  # the pipe alone may be held open by a process that was forked at the wrong moment
            poll.register(self._watch, select.POLLIN)
        while True:
            while b"\n" in self._unread:  # also what came with the last line that somebody waited for
                line, _, self._unread = self._unread.partition(b"\n")
                if line.startswith(REPORT):
                    yield json.loads(line[len(REPORT) :])
                else:
                    self._said = (self._said + line + b"\n")[-_KEPT_BYTES:]
            left_ms = None if deadline is None else max(deadline - time.monotonic(), 0.0) * 1000
            ready = dict(poll.poll(left_ms))
            if not ready:
                raise TimeoutError(f"expected the logger process to be ready within {_START_S} s")
            data = stream.read(65536) if stream.fileno() in ready else b""
            if not data:
                return
            self._unread += data

    def wait(self) -> int:
        """Return its exit status, negative for a signal, when it has ended."""
        status = self._child.wait()
        if self._child.stderr is not None:
            self._child.stderr.close()
        if self._watch >= 0:
            os.close(self._watch)
            self._watch = -1
        return status

    def kill(self) -> None:
        """End it at once; what it did not write stays in the lanes."""
        self._child.kill()
        self.wait()


def _interpreter_options() -> list[str]:
    """Return the options under which the logger process reads names and environment as this process does."""
    # -S: what the site module would find is on the path already, and costs a third of the start.
    options = ["-P", "-S", "-X", f"utf8={sys.flags.utf8_mode}"]
    if sys.flags.isolated:
        options.append("-I")
    elif sys.flags.ignore_environment:
        options.append("-E")
    return options


def _open_pidfd(pid: int) -> int:
    """Return a descriptor that tells the end of a child; -1 where there is no such call, or it is not permitted."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _import_path() -> list[str]:
    home = str(Path(__file__).resolve().parents[3])
    entries = [home, *(os.path.abspath(entry) for entry in sys.path if isinstance(entry, str) and entry)]  # noqa: PTH100 links stay
    return list(dict.fromkeys(entries))
