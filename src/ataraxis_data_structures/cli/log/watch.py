"""Show a running logger in a browser: rates, lag, drops, free disk, pictures.

The page has the latest picture or trace of each described source. It is served
at an address of this machine that holds a secret token, until the logger ends
or Ctrl-C. Without DIRECTORY it is the one logger that runs here. Nothing is
asked of the rig's processes: the figures lie in shared memory, the messages in
the log's journals.

Example:
    axds log watch /data/session_01/rig_data_log
"""

import argparse
import sys
import threading
import time
from pathlib import Path

from ...logs.logger.statistics import running_loggers
from ...memory.queue import LogQueue
from ..render import add_json, print_json
from ..terminal import print_line
from .live_page.figures import LiveLog
from .live_page.server import LiveServer

_LOOK_S = 0.2
_LAST_LOOK_S = 2.0  # so that an open page sees the end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "directory", type=Path, nargs="?", help="the log's directory or one above it (default: what runs here)"
    )
    parser.add_argument("--port", type=_port, default=0, help="default: a free one")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until the logger has ended."""
    directory, queue = _running(arguments.directory)
    log = LiveLog(directory, queue)
    with LiveServer(log, arguments.port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            if arguments.json:
                print_json({"url": server.url, "directory": directory})
            else:
                print_line(f"{directory}: {server.url}")
            sys.stdout.flush()
            while not log.ended:
                time.sleep(_LOOK_S)
            time.sleep(_LAST_LOOK_S)
        finally:
            server.shutdown()
            thread.join()
    if not arguments.json:
        print_line("the logger has ended")
    return 0


def _running(directory: Path | None) -> tuple[Path, LogQueue]:
    below = None if directory is None else directory.resolve(strict=True)
    found = {path: queue for path, queue in running_loggers().items() if below is None or path.is_relative_to(below)}
    if not found:
        raise LookupError(
            f"expected a logger of yours that runs and writes to {below or 'this machine'}, got none; "
            "`axds log ls --running` lists them"
        )
    if len(found) > 1:
        raise LookupError(f"expected one logger that runs, got {', '.join(map(str, found))}: name its directory")
    return next(iter(found.items()))


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError(f"expected a port, got {text}")
    return value
