"""Arguments that several commands on logs share."""

import argparse


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
