"""Which logs below the folder want something before a new one is recorded there?"""

import time
from pathlib import Path
from typing import Any

from ..log.inspection.summary import next_command, summarize
from ..log.session import find_logs
from .finding import Finding

_LONGEST_S = 10.0  # a disk may hold thousands of logs


def examine_logs(directory: Path) -> list[Finding]:
    """Count the logs of a folder and below it, and say of each that is not whole what comes next."""
    rows, end_s, ended = [], time.monotonic() + _LONGEST_S, True
    for contents in find_logs(directory):
        if (row := summarize(contents)) is not None:
            rows.append(row)
        if time.monotonic() > end_s:
            ended = False
            break
    if not rows:
        return []
    return [_counted(directory, rows, ended=ended), *filter(None, map(_finding, rows))]


def _counted(directory: Path, rows: list[dict[str, Any]], *, ended: bool) -> Finding:
    figures = {
        "logs": len(rows),
        "interrupted": sum(row["state"] == "interrupted" for row in rows),
        "sessions": sum(row["sessions"] or 0 for row in rows),
        "dropped": sum(row["dropped"] for row in rows),
        "gaps": sum(row["gaps"] or 0 for row in rows),
        "failed_jobs": sum(row["failed_jobs"] for row in rows),
    }
    said = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in figures.items())
    more = "" if ended else f"those found in {_LONGEST_S:.0f} s; `axds log ls {directory}` looks at all"
    return Finding("logs here", said, advice=more, figures=figures)


def _finding(row: dict[str, Any]) -> Finding | None:
    """Return what is wrong with a log: bad where messages wait for a command, else told only."""
    command = next_command(row)
    kinds = {"dropped messages": row["dropped"], "gaps": row["gaps"], "failed jobs": row["failed_jobs"]}
    said = [f"{count:,} {kind}" for kind, count in kinds.items() if count]
    if command == "axds log split":
        said.insert(0, f"{row['sessions']} sessions lie mixed")
    if row["state"] == "interrupted":
        said.insert(0, "its recording was interrupted")
    if row["gaps"] is None:
        said.append("an archive cannot be read")
    if not said:
        return None
    passed = False if row["state"] == "interrupted" else None
    return Finding(
        str(row["directory"]), ", ".join(said), passed, f"`{command} {row['directory']}`" * bool(command), row
    )
