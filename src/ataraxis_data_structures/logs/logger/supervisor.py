"""Keeps a logger process at work: starts another when one dies, until that is clearly of no use."""

import os
import threading
import time
from typing import Any

from ...memory.queue import LogQueue
from ..control_words import Ended, Note
from .launch import LoggerProcess

_DEATHS_IN_VAIN = 5  # without a message written between them
_KILLS_IN_VAIN = 50
_LONGEST_PAUSE_S = 1.0
_HEARD_S = 2.0  # a report is on its way through a pipe
_STEP_S = 0.002


class Supervisor:
    """The logger process of one session; made by the owner of the queue alone, who then calls `watch` or `run`."""

    def __init__(self, queue: LogQueue, settings: dict[str, Any]) -> None:
        self._queue = queue
        self._settings = settings
        self._notes = queue.hub.notes
        self._notes[Note.ENDED] = Ended.NOT_YET
        self._notes[Note.LOSSES] = 0
        self.error = ""
        self.losses: list[str] = []
        """What others removed of the log while the logger worked."""
        self._in_vain = 0
        self._process = self._launch(settings["patience_s"])
        self._thread = threading.Thread(target=self.run, name="axds-supervisor", daemon=True)

    @property
    def pid(self) -> int:
        """The pid of the present logger process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether messages are taken, or will be once a logger process was restarted."""
        return self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until no logger process runs and none will be started; tell whether that is so."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def watch(self) -> None:
        """Look after the logger process in a thread of its own."""
        self._thread.start()

    def run(self) -> None:
        """Look after the logger process until none runs and none will be started; works while the program exits."""
        while True:
            written = self._progress()
            for facts in self._process.reports():
                self.error = facts.get("error", self.error)
                if "loss" in facts:
                    self.losses.append(facts["loss"])
                if warning := facts.get("loss") or facts.get("warning"):
                    self._queue.warn_at_put(warning)
            status = self._process.wait()
            if self._notes[Note.ENDED] != Ended.NOT_YET:
                return
            if not self._restart(status, moved=self._progress() != written):
                return

    def heard_losses(self) -> str:
        """Return what was removed of the log by others; the logger process counts it before it answers."""
        deadline = time.monotonic() + _HEARD_S
        while len(self.losses) < self._notes[Note.LOSSES] and time.monotonic() < deadline:
            time.sleep(_STEP_S)
        return "; ".join(self.losses)

    def _launch(self, patience_s: float) -> LoggerProcess:
        process = LoggerProcess(self._settings | {"patience_s": patience_s})
        try:
            process.wait_ready(patience_s)
        except BaseException:
            process.kill()
            raise
        return process

    def _progress(self) -> tuple[int, int]:
        return sum(self._queue.hub.sources.cast("Q")[0::4]), self._notes[Note.EXPANDED]

    def _restart(self, status: int, *, moved: bool) -> bool:
        """Start another logger process in place of one that died; False when it was given up."""
        self._in_vain = 0 if moved else self._in_vain + 1
        while True:
            self.error = self._process.last_words.rpartition("\n")[2] or self.error or f"exit status {status}"
            if self._in_vain >= (_DEATHS_IN_VAIN if status >= 0 else _KILLS_IN_VAIN):
                self._queue.state = "failed"
                return False
            self._queue.hub.change_state("running", "restarting")
            if self._in_vain > 1:
                time.sleep(min(0.05 * 2 ** min(self._in_vain, 8), _LONGEST_PAUSE_S))
            self._queue.hub.restarts += 1
            try:
                self._process = self._launch(0.0)
            except (OSError, RuntimeError, TimeoutError) as error:
                self.error = str(error)
                self._in_vain += 1
                status = os.EX_OSERR
            else:
                return True
