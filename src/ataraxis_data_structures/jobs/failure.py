"""What a tracker notes of a job that an exception ended."""

import logging
from collections.abc import Callable


def told(error: BaseException) -> str:
    """Return an exception's text, or what can be told of one that has none."""
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - its author's
        return f"{type(error).__name__}, whose text cannot be made ({type(second).__name__})"


def note_failure(fail_job: Callable[[str, str], None], job_id: str, error: BaseException, message: str) -> None:
    """Have a tracker note that a job failed; if it cannot, say so beside the job's own exception, which counts more."""
    try:
        fail_job(job_id, message)
    except Exception as second:  # noqa: BLE001
        note = f"the tracker does not know that job {job_id} failed: {told(second)}"
        error.add_note(note)
        logging.getLogger(__name__).warning("%s", note)
