r"""The one place through which commands print text that holds names: one call is one line, whatever a name holds.

File names, job names and error messages may hold line ends, escape sequences that a terminal obeys, marks that turn the
direction of text, and bytes that are no text. Each is printed as an escape (`\n`, `\x1b`, `\u202e`, `\udcff`).
"""

import io
import logging
import sys


def escaped(text: object) -> str:
    """Return the text with an escape for each character that is not shown as itself."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def print_line(text: object = "") -> None:
    """Print one line on stdout."""
    print(escaped(text))


def print_error(text: object) -> None:
    """Print one line on stderr, under the name of the program; nothing where stderr is closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"axds: {escaped(text)}\n")


def prepare_streams() -> None:
    """Let stdout and stderr, and records that the library logs, escape what this terminal's encoding cannot hold."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_OneLine())


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record))
