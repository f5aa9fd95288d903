"""Show one segment of shared memory: what it holds and which processes map it.

Example:
    axds shm show camera_frames
"""

import argparse
import json
from typing import Any

from ...memory.segment import Segment
from ..render import add_json, human_time, print_json
from ..terminal import print_line
from .listing import segment_row, users_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", help="the segment, as `axds shm ls` lists it")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is known of a segment."""
    users = users_of(arguments.name)  # before this process maps it too
    row = segment_row(arguments.name)
    try:
        block = Segment.attach(arguments.name)
    except FileNotFoundError as error:
        raise LookupError(f"{error}; `axds shm ls` lists those that are there") from error
    facts = {**(row or {}), "id": f"{block.id:016x}", "mapped_by": users, "description": _described(block.description)}
    block.close()
    if arguments.json:
        print_json(facts)
        return 0
    for key, value in facts.items():
        print_line(f"{key:<14} {human_time(value) if key == 'created_us' else _text(value)}")
    return 0


def _described(description: bytes) -> Any:
    """Return what a segment says of itself; bytes that are no JSON as text."""
    try:
        return json.loads(description)
    except ValueError:
        return description.decode(errors="backslashreplace")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={inner}" for key, inner in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
