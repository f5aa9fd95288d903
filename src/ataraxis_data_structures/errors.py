"""The names of failures; each also is the builtin that a caller would expect."""

from queue import Full


class ArchiveError(ValueError):
    """A log archive or journal that is damaged, foreign, or would mix what must stay apart."""


class BatchError(RuntimeError):
    """A batch of an archive on which a function failed; `batch` is the positions of its first and behind its last."""

    def __init__(self, message: str, batch: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message, batch)
        self.batch = batch

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigError(ValueError):
    """A YAML file whose values do not fit the fields they are meant for; says file, line, field, expected and got."""


class ContractError(ValueError):
    """A data set that does not keep its contract; `report` holds every problem."""

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message, report)
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])


class CopiedLogError(RuntimeError):
    """A copy of a log directory whose last messages, in shared memory, belong to the original."""


class DownloadError(OSError):
    """A download that did not end whole, or that is refused; what came so far has no plain name."""


class IntegrityError(RuntimeError):
    """Files that are not what their checksum promises; `paths` names them where they are known."""

    def __init__(self, message: str, paths: tuple[str, ...] = ()) -> None:
        super().__init__(message, paths)
        self.paths = paths

    def __str__(self) -> str:
        return str(self.args[0])


class DigestError(IntegrityError, ValueError):
    """A file whose SHA-256 is not the one that was given or recorded."""


class LaneFullError(Full):
    """A put that found no room in time; of a put_many, the first `accepted` messages were taken."""

    def __init__(self, message: str, accepted: int = 0) -> None:
        super().__init__(message)
        self.accepted = accepted


class MissingValueError(ValueError):
    """A YAML file without a field that has no default."""


class QueueBusyError(RuntimeError):
    """A queue or lane that another living process consumes."""


class QueueClosedError(ValueError):
    """A put to a logger that was stopped for good; of a put_many, the first `accepted` messages are in the log."""

    def __init__(self, message: str, accepted: int = 0) -> None:
        super().__init__(message)
        self.accepted = accepted


class SegmentError(ValueError):
    """A block of shared memory that is foreign, damaged, or not of the kind that was asked for."""


class TornArrayError(RuntimeError):
    """A process died while it wrote to a shared array, and nobody has mended the data since."""


class TornArrayWarning(RuntimeWarning):
    """A process died while it wrote to a shared array: the data may be half old, half new."""


class TrackerError(ValueError):
    """A tracker file that is cut or cannot be understood, or a job that another executor took over."""


class StoreError(ValueError):
    """A store that is foreign, newer or not usable here, or a name, value or request that it refuses."""


class ConflictError(StoreError, FileExistsError):
    """A name that is taken, or whose version is not the one that was expected."""


class DamagedError(IntegrityError):
    """A ledger, payload or plain file of a store that is not what was committed; names the item and the file."""


class UntrustedError(StoreError, PermissionError):
    """A pickle that another user wrote: reading it would run that user's code."""
