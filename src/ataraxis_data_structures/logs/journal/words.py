"""The words of a journal's header page that change while it is written and expanded; they outlive a SIGKILL."""

import mmap
import os

from . import layout

_WORD_BYTES = 8


class FileWords:
    """The words where they can't be mapped: each look and each store is a system call. The descriptor is borrowed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __getitem__(self, index: int) -> int:
        return int.from_bytes(os.pread(self._descriptor, _WORD_BYTES, index * _WORD_BYTES), "little")

    def __setitem__(self, index: int, value: int) -> None:
        os.pwrite(self._descriptor, value.to_bytes(_WORD_BYTES, "little"), index * _WORD_BYTES)

    def release(self) -> None:
        """Do as a memoryview does."""


def open_words(descriptor: int) -> memoryview | FileWords:
    """Return the words of a journal by their index, as `layout.Words` names them; the caller releases them."""
    try:
        return memoryview(mmap.mmap(descriptor, layout.HEADER_BYTES)).cast("Q")
    except OSError:  # vboxsf, 9p and FUSE, as they are mounted, have no shared maps that may be written
        return FileWords(descriptor)


def mark_end(words: memoryview | FileWords, position: int) -> None:
    """Store where the records of a journal end, if something behind them is none."""
    words[layout.Words.END_CHECK] = position ^ 0xFFFF_FFFF_FFFF_FFFF
    words[layout.Words.END] = position
