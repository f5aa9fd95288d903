"""The names of failures; each also is the builtin that a caller would expect."""


class ArchiveError(ValueError):
    """A log archive or journal that is damaged, foreign, or would mix what must stay apart."""


class SegmentError(ValueError):
    """A block of shared memory that is foreign, damaged, or not of the kind that was asked for."""
