"""The states of a job and of a pipeline."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ProcessingStatus(IntEnum):
    """Where one job stands; the file holds the number."""

    SCHEDULED = 0
    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3


class TrackerStatus(StrEnum):
    """Where a pipeline stands as a whole."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(slots=True)
class JobState:
    """What a tracker knows of one job; times are UTC microseconds."""

    job_name: str
    specifier: str = ""
    status: ProcessingStatus = ProcessingStatus.SCHEDULED
    executor_id: str | None = None
    error_message: str | None = None
    started_at: int | None = None
    completed_at: int | None = None

    def schedule(self) -> None:
        """Forget the last run."""
        self.status = ProcessingStatus.SCHEDULED
        self.executor_id = self.error_message = self.started_at = self.completed_at = None

    def start(self, executor_id: str, now_us: int) -> None:
        """Begin a run."""
        self.status, self.executor_id, self.started_at = ProcessingStatus.RUNNING, executor_id, now_us
        self.error_message = self.completed_at = None

    def end(self, status: ProcessingStatus, error_message: str | None, now_us: int) -> None:
        """Finish a run."""
        self.status, self.error_message, self.completed_at = status, error_message, now_us
