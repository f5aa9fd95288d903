"""The command `axds`, one file for each of its commands."""

# A command is a module with a docstring (its help), `add_arguments(parser)` and `run(arguments) -> exit status`.
# Only the module that was asked for is imported, so `axds --help` and `axds shm ls` stay quick.
#
# Exit status: 0 yes, 1 no or failed, 2 wrong usage, 70 a bug of ours, 130 Ctrl-C, 141 the reader of the output left.

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from .interrupts import ignore_ctrl_c, import_uninterrupted, repeat_lost_ctrl_c
from .terminal import escaped, prepare_streams, print_error

_COMMANDS: dict[str, str] = {
    "demo": "record, archive and read back this machine's own telemetry",
    "doctor": "is this machine fit for the rig you plan? measured, with advice",
    "record": "record the devices that a YAML file names",
    "log ls": "list the logs below a folder, and what is left to do",
    "log show": "show messages, rates and gaps of each source",
    "log top": "watch a running logger from another terminal",
    "log watch": "show a running logger in a browser of this machine",
    "log assemble": "make archives, one for each source",
    "log verify": "check every message",
    "log cat": "print messages as values, in text or JSON lines",
    "log filter": "write new archives of a time range or of some sources",
    "log merge": "make one log of several",
    "log split": "give each of several sessions a folder of its own",
    "log recover": "complete a log whose recording was killed",
    "log export": "write Parquet, HDF5 or MCAP",
    "log plot": "draw rates, intervals and gaps as PNG or SVG",
    "log report": "write one page with figures and pictures",
    "shm ls": "list arrays, queues and lanes, and who holds them",
    "shm show": "show one segment and the processes that map it",
    "shm rm": "remove what nobody uses any more",
    "jobs status": "show where the jobs of a tracker stand",
    "jobs retry": "schedule failed or abandoned jobs anew",
    "jobs reset": "schedule chosen jobs anew",
    "store init": "make a folder a store",
    "store ls": "list the items of a store",
    "store show": "show an item, its versions and its lineage",
    "store add": "store a file or a value",
    "store get": "print a value, or write it to a file",
    "store rm": "end items; their versions stay",
    "store describe": "describe the items, by kind",
    "store status": "what history and leftovers take",
    "store verify": "check every byte of every version",
    "store repair": "bring back what is damaged",
    "store gc": "remove what nobody can read any more",
    "store export": "write the plain files of a state elsewhere",
    "store adopt": "take an edited plain file, or logs of killed sessions",
    "store trust": "read the pickles of a colleague, by the colleague's key",
    "store import-folio": "take over a folder that datafolio wrote",
    "store import-directory": "take over a tree that datamate wrote",
    "store snapshot create": "name the present state",
    "store snapshot list": "list the snapshots",
    "store snapshot show": "list the items of a snapshot",
    "store snapshot diff": "tell what changed between two states",
    "store snapshot restore": "make the items what they were",
    "store snapshot delete": "end the name of a state",
    "data fetch": "download a file whole into a data store",
    "data list": "list the data sets of a store",
    "data contract": "check a data set against a contract, by headers",
    "data product": "write a Ptychodus product file, or read one",
    "data guard check": "say which staged files are data and not for git",
    "data guard install": "check so before each commit, and patch .gitignore",
    "checksum": "print a folder's checksum, or check it",
    "compare": "tell which files two folders do not share",
    "transfer": "copy a folder, checked",
    "delete": "delete a folder, links never followed",
}
_GROUPS = {
    "log": "what a rig recorded",
    "shm": "shared memory",
    "jobs": "trackers of processing jobs",
    "store": "a folder of plain files with a history",
    "store snapshot": "names for states of a store",
    "data": "data sets and product files",
    "data guard": "data files stay out of git",
}

_FAILED = 1
_USAGE = 2
_UNEXPECTED = 70  # EX_SOFTWARE
_INTERRUPTED = 128 + signal.SIGINT
_PIPE_CLOSED = 128 + 13  # SIGPIPE, also where there is none
_EXPECTED = (OSError, ValueError, RuntimeError, LookupError, ImportError, MemoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the status to exit with; an error is one line on stderr, never a traceback."""
    prepare_streams()
    warnings.showwarning = _show_warning
    sys.unraisablehook = repeat_lost_ctrl_c
    try:
        try:
            return _run_and_flush(list(sys.argv[1:] if argv is None else argv))
        finally:
            ignore_ctrl_c()
    except SystemExit as end:  # argparse, which has said why
        return end.code if isinstance(end.code, int) else _FAILED
    except BaseException as error:
        if os.environ.get("AXDS_DEBUG"):
            raise
        return _report(error)


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: Any = None) -> None:
        # The base class hides that nobody reads.
        print(self.format_help(), end="", file=file)

    def error(self, message: str) -> NoReturn:
        super().error(escaped(message))


def _run_and_flush(words: list[str]) -> int:
    try:
        return _run(words)
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()


def _run(words: list[str]) -> int:
    for count in (3, 2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in _COMMANDS:
            command, parser = _load(name)
            status: int = command.run(parser.parse_args(words[count:]))
            return status
    if words in (["--version"], ["-V"]):
        from importlib.metadata import version  # noqa: PLC0415 costs more than a short command's whole run

        print(version("ataraxis-data-structures"))
        return 0
    group = next((name for count in (2, 1) if (name := " ".join(words[:count])) in _GROUPS), "")
    asked = words[len(group.split()) :]
    if asked and asked[0] in ("-h", "--help", "help"):
        print(_overview(group))
        return 0
    if asked:
        return _complain(_unknown(group, " ".join([group, asked[0]]).strip()), _USAGE)
    print(_overview(group), file=sys.stderr)
    return _USAGE


def _load(name: str) -> tuple[ModuleType, argparse.ArgumentParser]:
    """Return a command's module and the parser of its arguments."""
    place = name.replace(" import-", " imports ").replace(" ", ".").replace("-", "_")
    module = import_uninterrupted(f"{__name__}.{place}")
    parser = _Parser(
        prog=f"axds {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    return module, parser


def _overview(group: str) -> str:
    known = {name: text for name, text in _COMMANDS.items() if not group or name.startswith(f"{group} ")}
    title = _GROUPS[group] if group else "shared arrays and crash-proof logging for acquisition rigs"
    lines = [f"axds {group}".rstrip() + f": {title}", "", "commands:"]
    lines += [f"  axds {name:<18} {text}" for name, text in known.items()]
    lines += ["", "axds COMMAND --help tells more and shows an example; axds --version prints the version."]
    return "\n".join(lines)


def _unknown(group: str, name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 for a slip only

    near = get_close_matches(name, _COMMANDS, n=1)
    meant = f"did you mean `axds {near[0]}`?" if near else "no command is called so"
    return f"{name}: {meant} `{f'axds {group}'.strip()} --help` lists them"


def _report(error: BaseException) -> int:
    """Say what went wrong in one line; return the exit status."""
    ignore_ctrl_c()  # it may have come just before the first call
    _drop_output()
    if isinstance(error, KeyboardInterrupt):
        return _complain("interrupted", _INTERRUPTED)
    if isinstance(error, BrokenPipeError):
        return _PIPE_CLOSED
    from .advice import describe  # noqa: PLC0415 for errors only

    if isinstance(error, _EXPECTED):
        return _complain(describe(error), _FAILED)
    return _complain(f"unexpected {type(error).__name__}: {describe(error)}; AXDS_DEBUG=1 shows where", _UNEXPECTED)


def _complain(message: str, status: int) -> int:
    print_error(message)
    return status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _complain(f"warning: {' '.join(str(message).split())}", 0)


def _drop_output() -> None:
    """Point stdout at nothing if it takes no more, so that the interpreter's last flush can't fail again."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
