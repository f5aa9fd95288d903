"""Who writes into a log directory: one lock for it, and a note that leads from it to the queue in shared memory."""

import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import QueueBusyError
from ..memory.owner import is_alive, pid_of

POINTER = ".axds-logger.json"
_STEP_S = 0.02


class DirectoryLock:
    """The right to write into a log directory; the kernel gives it back when its holder dies."""

    def __init__(self, directory: Path, *, queue_id: int = 0, patience_s: float = 0.0) -> None:
        """Take the lock for a queue; QueueBusyError while another queue's logger, or its owner, lives.

        A logger whose owner is gone ends by itself when it has written everything: it is waited for.
        """
        self.directory = directory
        self._path = directory / POINTER
        self._queue_id = queue_id
        deadline = time.monotonic() + patience_s
        while True:
            self._fd = self._try()
            if self._fd >= 0:
                return
            if self._owner_lives() or time.monotonic() > deadline:
                note = read_pointer(directory)
                holder = pid_of(note.get("logger") or note.get("owner") or 0) or "unknown"
                raise QueueBusyError(f"expected no other logger at work in {directory}, got process {holder}")
            time.sleep(_STEP_S)

    def note(self, **facts: Any) -> None:
        """Write down which queue the log's messages come from."""
        data = json.dumps(facts).encode()
        os.pwrite(self._fd, data + b"\n", 0)
        os.ftruncate(self._fd, len(data) + 1)

    def erase(self) -> None:
        """Remove the note: nothing of this log is anywhere else."""
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let another logger have the directory."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _try(self) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last holder may have removed the file that was just locked.
            if os.fstat(fd).st_nlink and not self._owner_lives():
                return fd
        except BlockingIOError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return -1

    def _owner_lives(self) -> bool:
        note = read_pointer(self.directory)
        return note.get("queue_id") not in (None, self._queue_id) and is_alive(note.get("owner", 0))


def read_pointer(directory: Path) -> dict[str, Any]:
    """Return what is noted in a log directory; nothing if no logger works, or worked last, there."""
    try:
        found = json.loads((directory / POINTER).read_bytes() or b"{}")
    except (OSError, ValueError):  # none, or caught in the middle of being written
        return {}
    return found if isinstance(found, dict) else {}
