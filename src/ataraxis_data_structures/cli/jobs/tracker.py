"""The tracker that a command names."""

import argparse
from pathlib import Path

from ...jobs.tracker import ProcessingTracker


def add_tracker(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the tracker's file."""
    parser.add_argument("tracker", type=Path, help="the tracker's .yaml file")


def open_tracker(path: Path) -> ProcessingTracker:
    """Return the tracker of a file that is there; FileNotFoundError otherwise."""
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    return ProcessingTracker(path)
