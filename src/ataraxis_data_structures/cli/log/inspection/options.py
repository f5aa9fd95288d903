"""Arguments that several commands on logs share."""

import argparse
from datetime import UTC, datetime


def add_gap_limit(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says from when on an interval is a gap."""
    parser.add_argument(
        "--gap-ms",
        type=_positive,
        metavar="MS",
        help="an interval longer than this is a gap (default: five median intervals of its source)",
    )


def gap_limit_us(arguments: argparse.Namespace) -> float | None:
    """Return the limit that was asked for, in microseconds."""
    return None if arguments.gap_ms is None else arguments.gap_ms * 1000


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text}")
    return value


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose sources and times."""
    parser.add_argument(
        "--source", action="append", default=[], metavar="NAME", help="a source by name or number; may be repeated"
    )
    for flag, what in (("--from", "from then on"), ("--to", "before then")):
        parser.add_argument(
            flag,
            dest=f"time_{flag[2:]}",
            type=_time,
            metavar="TIME",
            help=f"messages {what}: seconds since the onset, or a time as in 2026-11-29T16:34:09 (UTC)",
        )


def _time(text: str) -> float | datetime:
    """Return seconds since the onset, or a time in UTC unless it says otherwise."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected seconds or a time as in 2026-11-29T16:34:09, got {text}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def time_range_us(arguments: argparse.Namespace, onset_us: int) -> tuple[int, int]:
    """Return the first microsecond (UTC) that was asked for, and the one behind the last."""
    asked = (arguments.time_from, 0), (arguments.time_to, 2**64 - 1)
    first, last = (_as_us(time, onset_us, default) for time, default in asked)
    return first, last


def _as_us(time: float | datetime | None, onset_us: int, default: int) -> int:
    if time is None:
        return default
    since_onset = round(time * 1e6) if isinstance(time, float) else None
    found = onset_us + since_onset if since_onset is not None else round(time.timestamp() * 1e6)  # type: ignore[union-attr]
    return min(max(found, 0), 2**64 - 1)
