"""What each job's runs were: one line of JSON for each beginning and each end, appended and never changed."""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .state import ProcessingStatus


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job; times are UTC microseconds, `status` is RUNNING until an end is known."""

    job_id: str
    number: int
    executor_id: str | None
    host: str
    status: ProcessingStatus
    started_at: int
    completed_at: int | None = None
    error_message: str | None = None


class AttemptLog:
    """The lines beside the tracker; the caller holds the tracker's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def noted(self, events: list[dict[str, Any]]) -> Generator[None]:
        """Add lines, and close the file before what they tell of is done; take them back if that fails.

        What a kill has left of a line stays alone on its own.
        """
        text = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events).encode()
        descriptor = self._open()
        size = None
        try:
            try:
                size = os.fstat(descriptor).st_size
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                _write_all(descriptor, b"\n" + text if torn else text)
            finally:
                os.close(descriptor)
            yield
        except BaseException:
            if size is not None:
                os.truncate(self._path, size)
            raise

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o666)
        except FileNotFoundError:
            self._path.parent.mkdir(exist_ok=True)
            return os.open(self._path, flags, 0o666)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every whole line in order."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                try:
                    event = json.loads(line)
                except ValueError:  # the rest of a line whose writer was killed
                    continue
                if isinstance(event, dict) and "job" in event:
                    yield event

    def of(self, job_id: str) -> list[Attempt]:
        """Return the runs of one job, oldest first."""
        runs: list[dict[str, Any]] = []
        for event in self.events():
            if event["job"] != job_id:
                continue
            if "start" in event:
                runs.append(event)
            elif runs and runs[-1]["start"] == event.get("run"):
                runs[-1] |= event
        return [
            Attempt(
                job_id,
                number,
                run.get("executor"),
                run.get("host", ""),
                ProcessingStatus(run.get("status", ProcessingStatus.RUNNING)),
                run["start"],
                run.get("end"),
                run.get("error"),
            )
            for number, run in enumerate(runs, 1)
        ]

    def owners(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Return who began each run, by job and start."""
        return {(event["job"], event["start"]): event["owner"] for event in self.events() if event.get("owner")}


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
