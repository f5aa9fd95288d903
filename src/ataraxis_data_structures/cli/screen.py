"""A screen that is drawn anew in place, for commands that watch."""

import shutil
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from .terminal import escaped, print_line

_HOME, _CLEAR_BELOW, _CLEAR_LINE = "\x1b[H", "\x1b[J", "\x1b[K"
_HIDE, _SHOW = "\x1b[?25l\x1b[2J", "\x1b[?25h"


@contextmanager
def screen(*, live: bool) -> Generator[None]:
    """Clear the terminal and hide its cursor until the end of the block, if it is one."""
    if live:
        sys.stdout.write(_HIDE)
    try:
        yield
    finally:
        if live:
            sys.stdout.write(_SHOW)


def draw(lines: Sequence[str], *, live: bool) -> None:
    """Show the lines: as many as the terminal holds, in the place of the former ones, or all of them below."""
    if live:
        width, height = shutil.get_terminal_size()
        shown = [escaped(line)[: width - 1] + _CLEAR_LINE for line in lines[: height - 1]]
        sys.stdout.write(_HOME + "\n".join(shown) + "\n" + _CLEAR_BELOW)
    else:
        for line in lines:
            print_line(line)
    sys.stdout.flush()
