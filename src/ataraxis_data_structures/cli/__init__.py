"""The command `axds`, one file for each of its commands."""

# A command is a module with a docstring (its help), `add_arguments(parser)` and `run(arguments) -> exit status`.
# Only the module that was asked for is imported, so `axds --help` and `axds shm ls` stay quick.

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

_COMMANDS: dict[str, str] = {}
_GROUPS: dict[str, str] = {}

_FAILED = 1
_UNEXPECTED = 70  # EX_SOFTWARE
_INTERRUPTED = 128 + signal.SIGINT
_PIPE_CLOSED = 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; an error is one line on stderr, never a traceback."""
    command, parser, rest = _select(list(sys.argv[1:] if argv is None else argv))
    arguments = parser.parse_args(rest)
    try:
        status: int = command.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _complain("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        _silence_stdout()
        return _PIPE_CLOSED
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        if os.environ.get("AXDS_DEBUG"):
            raise
        return _complain(describe(error), _FAILED)
    except Exception as error:
        if os.environ.get("AXDS_DEBUG"):
            raise
        return _complain(f"unexpected {describe(error)}; AXDS_DEBUG=1 shows where", _UNEXPECTED)
    return status


def describe(error: BaseException) -> str:
    """Return an error as one line that names the file where there is one."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__


def _select(argv: list[str]) -> tuple[ModuleType, argparse.ArgumentParser, list[str]]:
    """Return the module of the command that `argv` names, its parser, and the words behind the name."""
    for words in (2, 1):
        name = " ".join(argv[:words])
        if name in _COMMANDS and len(argv) >= words:
            return (*_parser_of(name), argv[words:])
    # Prints the help or the usage error, and ends the program.
    _overview(argv[0] if argv and argv[0] in _GROUPS else None).parse_args(argv or ["--help"])
    raise SystemExit(2)


def _parser_of(name: str) -> tuple[ModuleType, argparse.ArgumentParser]:
    module = import_module(f".{name.replace(' ', '.')}", __name__)
    parser = argparse.ArgumentParser(
        prog=f"axds {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    return module, parser


def _overview(group: str | None) -> argparse.ArgumentParser:
    lines = [
        f"  {name:<14} {text}" for name, text in (_COMMANDS | _GROUPS).items() if not group or name.startswith(group)
    ]
    parser = argparse.ArgumentParser(
        prog="axds",
        usage="axds COMMAND [ARGUMENTS]",
        description="Shared arrays and crash-proof logging for acquisition rigs.",
        epilog="commands (axds COMMAND --help tells more):\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("ataraxis-data-structures"))
    parser.add_argument("command", choices=sorted(_COMMANDS), metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _complain(message: str, status: int) -> int:
    sys.stderr.write(f"axds: {message}\n")
    return status


def _silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush can't fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
