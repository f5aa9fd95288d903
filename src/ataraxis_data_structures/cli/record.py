"""Record what a rig file names: serial ports, datagrams, LSL streams, functions.

RIG.yaml names the log and its sources; the log is made in DIRECTORY. Each is
read by a process of its own, once all devices are open. Ctrl-C ends cleanly.

    log: morning
    sources:
      encoder:  {udp: 5005, dtype: <u4, rate_hz: 1000, unit: counts}
      scale:    {serial: /dev/ttyUSB0, baud: 9600, lines: true, dtype: <f8}
      eeg:      {lsl: MyAmplifier}
      camera:   {producer: my_rig:camera, dtype: u1, shape: [1080, 1920]}

Example:
    axds record RIG.yaml /data --duration 3600
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..logs.logger.logger import DataLogger
from ..logs.logger.statistics import LoggerStatistics
from ..rig.plan import RigPlan, read_rig
from ..rig.recording import Recorded, record_rig
from .places import local_folder
from .render import add_json, human_seconds, print_json, print_table
from .terminal import print_error, print_line

_SHOW_EVERY_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("rig", type=Path, metavar="RIG.yaml", help="the rig file")
    parser.add_argument(
        "directory", type=local_folder, nargs="?", default=Path(), metavar="DIRECTORY",
        help="where the log directory is made (default: here)",
    )  # fmt: skip
    parser.add_argument("--duration", type=_seconds, metavar="S", help="end after so many seconds (default: Ctrl-C)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Record; status 1 if the process of a source died."""
    plan = read_rig(arguments.rig)
    live = _Line(plan, live=sys.stderr is not None and sys.stderr.isatty() and not arguments.json)
    found = record_rig(
        plan, arguments.directory, duration_s=arguments.duration, tell=live.tell, begun=live.begun, show=live.show
    )
    live.clear()
    _print(found, as_json=arguments.json)
    return 1 if found.failed else 0


def _print(found: Recorded, *, as_json: bool) -> None:
    following = f"axds log assemble {found.directory}"
    if as_json:
        print_json(asdict(found) | {"failed": found.failed, "next": following})
        return
    rows = [
        {
            "source": source.name,
            "messages": source.messages,
            "rate Hz": source.rate_hz,
            "dropped": source.dropped,
            "skipped": source.skipped,
        }
        for source in found.sources
    ]
    print_table(rows, tuple(rows[0]))
    for source in found.sources:
        if source.error:
            print_line(f"{source.name}: {source.error}")
    print_line(f"{found.directory}: recorded for {human_seconds(found.duration_s)}; next: `{following}`")


class _Line:
    """What is shown on stderr while it records: a line that changes on a terminal, and what happens to sources."""

    def __init__(self, plan: RigPlan, *, live: bool) -> None:
        self._names = {source.code: source.name for source in plan.sources}
        self._bar = tqdm(bar_format="{desc}", disable=not live, leave=False)
        self._shown_s = 0.0

    def begun(self, logger: DataLogger) -> None:
        """Say that messages are recorded now."""
        self.tell(f"recording into {logger.output_directory}; Ctrl-C ends it")

    def tell(self, line: str) -> None:
        """Print a line of its own."""
        self._bar.clear()
        print_error(line)

    def show(self, statistics: LoggerStatistics, elapsed_s: float) -> None:
        """Draw the counts of the sources, twice a second."""
        if self._bar.disable or elapsed_s - self._shown_s < _SHOW_EVERY_S:
            return
        self._shown_s = elapsed_s
        counts = [f"{self._names.get(code, code)} {max(one.accepted - 1, 0):,}"
                  for code, one in statistics.sources.items()]  # fmt: skip
        self._bar.set_description_str(f"{human_seconds(elapsed_s)}: {', '.join(counts) or 'no message yet'}")

    def clear(self) -> None:
        """Take the line that changes away."""
        self._bar.close()


def _seconds(text: str) -> Any:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text}")
    return value
