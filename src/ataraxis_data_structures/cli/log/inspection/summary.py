"""One line about a log: how it is kept, and what is known to be wrong with it."""

from typing import Any

from ....errors import ArchiveError
from ..report_page.figures import figures_of
from ..session import Contents, load_series, tell_passed_over
from .trackers import count_failed, jobs_beside

NEXT = {
    "interrupted": "axds log recover",
    "not assembled": "axds log assemble",
}


def summarize(contents: Contents) -> dict[str, Any] | None:
    """Return what is known of a log; None where its folder may be listed only."""
    tell_passed_over(contents)
    try:
        size = contents.disk_bytes()
    except OSError as error:
        tell_passed_over(error)
        return None
    return {
        "directory": contents.directory,
        "state": contents.state,
        "sessions": _count_sessions(contents),
        "dropped": sum(contents.dropped().values()),
        "gaps": _count_gaps(contents),
        "failed_jobs": sum(map(count_failed, jobs_beside(contents))),
        "sources": len(contents.archives) or None,
        "archives": len(contents.archives),
        "journals": len(contents.journals),
        "files": len(contents.files),
        "bytes": size,
    }


def next_command(row: dict[str, Any]) -> str:
    """Return what to do about a log first; nothing if it is whole and in archives."""
    if row["state"] in {"interrupted", "recording"}:
        return NEXT.get(row["state"], "")
    if row["sessions"] and row["sessions"] > 1 and not (row["archives"] and not row["journals"] + row["files"]):
        return "axds log split"
    if row["state"] in NEXT:
        return NEXT[row["state"]]
    return "axds log verify" if row["dropped"] or row["gaps"] != 0 or row["failed_jobs"] else ""


def _count_sessions(contents: Contents) -> int | None:
    """Return how many sessions there are; None where a file of theirs may not be read."""
    try:
        return max(len(contents.groups()), len(contents.sessions()), 1)
    except OSError as error:
        tell_passed_over(error)
        return None


def _count_gaps(contents: Contents) -> int | None:
    """Return how many intervals are longer than five median ones; None where an archive is damaged or locked."""
    try:
        series, _ = load_series(contents)
    except (ArchiveError, OSError):  # `verify` says which
        return None
    return sum(len(figures_of(one).gaps) for one in series)
