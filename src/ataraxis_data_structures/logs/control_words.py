"""The words of the queue by which its owner and its logger process talk."""

from enum import IntEnum

from ..memory.consumer import RECORDED

REPORT = b"axds: "  # how a line of the logger process for its owner begins


class Note(IntEnum):
    """Where each word lies among the hub's notes."""

    FLUSH_ASKED = 0
    """The owner counts its flushes here."""
    FLUSHED = 1
    """The last of them that is done."""
    FLUSH_ERRNO = 2
    """Why one failed."""
    EXPANDED = 3
    """How many files were made."""
    LOGGER = 4
    """Identity of the logger process."""
    TROUBLE = 5
    """The last errno that a write met, such as ENOSPC."""
    NUMBER = 6
    """The number of the next journal."""
    ENDED = 7
    """How a session ended; see Ended."""
    DESCRIBED = 16
    """How many sources the owner has described."""
    LOSSES = 9
    """How often it was found since the start that others removed what was logged."""
    RECORDED = RECORDED
    """Whether the owner record of the log directory names the queue."""


class Ended(IntEnum):
    """What a logger process says of the session when it leaves for good."""

    NOT_YET = 0
    DONE = 1
    UNFINISHED = 2
    """Something has no file, and trying again at once is of no use."""
