"""Watch a running logger from another terminal: what each source and each producer does, until it ends or Ctrl-C.

NAME is the name that the program gave its DataLogger. Lag is how long ago the logger process had nothing left to
write. Gaps are times, while this looks, in which a source put nothing for five times as long as a message of it took
before; `axds log show` counts those of the whole log. Nothing is asked of the rig's processes: the figures lie in
shared memory.

Example:
    axds log top my_rig
    axds log top my_rig --json --count 1
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from ...logs.logger.statistics import LoggerStatistics, queue_of_logger, statistics_of
from ...memory.queue import LogQueue
from ...system import platform
from ..render import add_json, human_bytes, human_seconds, print_json, table_lines
from ..screen import draw, screen
from ..terminal import escaped, print_line
from .inspection.trackers import count_failed, jobs_beside
from .report_page.figures import GAP_FACTOR
from .session import look_into


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", help="the logger's name")
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between two looks (default 1)")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="end after so many looks (default: go on)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table again and again."""
    live = not arguments.json and sys.stdout.isatty()
    queue = _queue_of(arguments.name)  # mapped once: a look reads words and opens nothing
    with screen(live=live):
        return _watch(arguments, queue, _beside(queue), live=live)


def _queue_of(name: str) -> LogQueue:
    try:
        return queue_of_logger(name)
    except FileNotFoundError as error:
        raise LookupError(
            f"expected a logger called {name!r} that runs here and is yours, got none; the name is what its program "
            "gave DataLogger as instance_name"
        ) from error


@dataclass
class _Pace:
    """How often a source puts, and when it fell silent."""

    accepted: int
    put_s: float
    rate_hz: float = 0.0
    gaps: int = 0
    is_silent: bool = False

    def look(self, accepted: int, now_s: float) -> None:
        """Take a new count; silence that is long for this source is one gap until it ends."""
        waited_s = now_s - self.put_s
        if accepted > self.accepted:
            self.rate_hz = (accepted - self.accepted) / waited_s
            self.accepted, self.put_s, self.is_silent = accepted, now_s, False
        elif self.rate_hz * waited_s > GAP_FACTOR and not self.is_silent:
            self.gaps, self.is_silent = self.gaps + 1, True


def _beside(queue: LogQueue) -> dict[str, Any]:
    """Return what lies in the logger's directory already; looked at once, since that reads the disk."""
    try:
        contents = look_into(queue.directory) if queue.directory else None
    except OSError:  # removed, or seen from another container
        contents = None
    if contents is None:
        return {"directory": queue.directory, "sessions": 1, "failed_jobs": 0}
    failed = sum(map(count_failed, jobs_beside(contents)))
    return {"directory": queue.directory, "sessions": max(len(contents.sessions()), 1), "failed_jobs": failed}


def _watch(arguments: argparse.Namespace, queue: LogQueue, beside: dict[str, Any], *, live: bool) -> int:
    before, looked_s, looks = statistics_of(queue), time.monotonic(), 0
    paces = {number: _Pace(source.accepted, looked_s) for number, source in before.sources.items()}
    while True:
        time.sleep(max(arguments.every, 0.05))
        if not (platform.FOLDER / queue.name).exists():
            print_line("the logger has ended")
            return 0
        now, now_s = statistics_of(queue), time.monotonic()
        for number, source in now.sources.items():
            paces.setdefault(number, _Pace(0, looked_s)).look(source.accepted, now_s)
        document = beside | _document(before, now, now_s - looked_s, paces)
        before, looked_s, looks = now, now_s, looks + 1
        if arguments.json:
            print_json(document)
        else:
            _print(arguments.name, document, live=live)
        sys.stdout.flush()
        if looks == arguments.count:
            return 0


def _document(
    before: LoggerStatistics, now: LoggerStatistics, elapsed_s: float, paces: dict[int, _Pace]
) -> dict[str, Any]:
    """Return the counts of now and the rates since before."""
    sources = []
    for number, source in sorted(now.sources.items()):
        known = before.sources.get(number)
        messages, written, size = (known.accepted, known.written, known.bytes) if known else (0, 0, 0)
        sources.append(
            {"source": number}
            | asdict(source)
            | {
                "messages_per_s": (source.accepted - messages) / elapsed_s,
                "written_per_s": (source.written - written) / elapsed_s,
                "bytes_per_s": (source.bytes - size) / elapsed_s,
                "waiting": max(source.accepted - source.written, 0),
                "gaps": paces[number].gaps,
            }
        )
    return asdict(now) | {"sources": sources, "producers": [asdict(producer) for producer in now.producers]}


def _print(name: str, document: dict[str, Any], *, live: bool) -> None:
    lines = [_headline(name, document), "", *_source_lines(document["sources"])]
    if document["producers"]:
        lines += ["", *_producer_lines(document["producers"])]
    if document["sessions"] > 1:
        lines += ["", f"{document['sessions']} sessions lie in {escaped(document['directory'])}; assembly parts them"]
    if document["failed_jobs"]:
        lines += ["", f"{document['failed_jobs']:,} failed jobs beside it; `axds jobs status` tells why"]
    draw(lines, live=live)


def _headline(name: str, document: dict[str, Any]) -> str:
    process = f"process {document['pid']}" if document["pid"] else "no process"
    lag = human_seconds(document["lag_s"]) if document["lag_s"] else "none"
    total = sum(source["messages_per_s"] for source in document["sources"])
    size = sum(source["bytes_per_s"] for source in document["sources"])
    return (
        f"{name}: {document['state']}, {process}, {document['restarts']} restarts, lag {lag}, "
        f"{total:,.0f} messages/s, {human_bytes(size)}/s"
    )


def _source_lines(sources: list[dict[str, Any]]) -> list[str]:
    rows = [
        {
            "source": source["source"],
            "messages/s": round(source["messages_per_s"]),
            "MB/s": source["bytes_per_s"] / 1e6,
            "accepted": source["accepted"],
            "waiting": source["waiting"],
            "written": source["written"],
            "synced": source["synced"],
            "drops": source["dropped"],
            "gaps": source["gaps"],
        }
        for source in sources
    ]
    return table_lines(rows, tuple(rows[0])) if rows else ["no message yet"]


def _producer_lines(producers: list[dict[str, Any]]) -> list[str]:
    rows = [
        {
            "producer": str(producer["pid"]),  # a name, not a count
            "accepted": producer["accepted"],
            "lane": human_bytes(producer["lane_bytes"]),
            "fill %": 100 * producer["waiting_bytes"] / producer["lane_bytes"],
            "highest %": 100 * producer["high_water_bytes"] / producer["lane_bytes"],
            "blocked": human_seconds(producer["blocked_s"]) if producer["blocked_s"] else "-",
            "drops": producer["dropped"],
        }
        for producer in producers
    ]
    return table_lines(rows, tuple(rows[0]))
