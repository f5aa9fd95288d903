"""What is looked at to call a log sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....errors import ArchiveError
from ....logs.archive.discovery import read_archive_message_count
from ....logs.archive.reader import LogArchiveReader
from ....logs.journal.messages import Account
from ....logs.recovery.recover import scan_journals
from ....system.progress import progress_bar
from ...advice import describe
from ...render import human_seconds, human_time
from ..report_page.figures import Figures
from ..report_page.page import Check
from ..session import Contents, passed_over
from .trackers import count_failed

_MOST_NAMES = 5


STATES = {
    "recording": Check("state", "still being recorded: this is what was there so far"),
    "interrupted": Check("state", "its recording was interrupted; `axds log recover` completes it", passed=False),
    "not assembled": Check("state", "not assembled yet; `axds log assemble` makes archives of it"),
    "assembled": Check("state", "assembled into archives", passed=True),
}


def check_all(contents: Contents, figures: Sequence[Figures], account: Account, jobs: Sequence[dict[str, Any]],
              *, progress: bool = False) -> list[Check]:  # fmt: skip
    """Return all that was found: state, sessions, drops, gaps, failed jobs, and every message's check sum."""
    return [
        STATES[contents.state],
        *_check_sessions(contents),
        *check_log(contents, account, progress=progress),
        *_check_drops(contents.dropped(account)),
        *_check_gaps(figures),
        *_check_jobs(jobs),
        *_bystanders(contents),
    ]


def _check_sessions(contents: Contents) -> list[Check]:
    groups = contents.groups()
    if len(groups) < 2:
        return []
    onsets = ", ".join(human_time(min(group.onsets.values())) for group in groups if group.onsets)
    said = (
        f"{len(groups)} sessions lie mixed (onsets {onsets}); `axds log split`, or assembly, gives each its own folder"
    )
    return [Check("sessions", said, passed=False)]


def _check_drops(dropped: dict[int, int]) -> list[Check]:
    if not dropped:
        return []
    said = ", ".join(f"{count:,} of source {source}" for source, count in dropped.items())
    advice = "larger lanes or a faster disk take them"
    return [Check("drops", f"messages dropped: a full lane refused {said}; {advice}", passed=False)]


def _check_gaps(figures: Sequence[Figures]) -> list[Check]:
    found = [one for one in figures if one.gaps]
    if not found:
        return []
    said = "; ".join(
        f"source {one.source} has {len(one.gaps):,} longer than {human_seconds(one.gap_limit_us / 1e6)}, "
        f"the longest {human_seconds(one.longest_gap_us / 1e6)}"
        for one in found
    )
    return [Check("gaps", f"{said} (--gap-ms sets the limit)", passed=False)]


def _check_jobs(jobs: Sequence[dict[str, Any]]) -> list[Check]:
    checks = []
    for tracker in jobs:
        failed = count_failed(tracker)
        if failed:
            said = f"{failed:,} failed; `axds jobs status {tracker['name']}` tells why"
            checks.append(Check(f"jobs of {tracker['name']}", said, passed=False))
    return checks


def _bystanders(contents: Contents) -> list[Check]:
    return [Check("passed over", line) for line in passed_over(contents)]


def check_log(contents: Contents, account: Account | None = None, *, progress: bool = False) -> list[Check]:
    """Read everything that a log holds and return what was found; `account` spares the journals a second reading."""
    checks = []
    with progress_bar("verify", len(contents.archives), shown=progress, unit="archive") as advance:
        for source, path in contents.archives.items():
            checks.append(_check_archive(source, path))
            advance(1)
    if contents.journals:
        checks += _check_journals(account or scan_journals(contents.directory))
    if contents.files:
        checks += _check_files(contents.files)
    return checks


def _check_archive(source: str, path: Path) -> Check:
    try:
        bad = [fault.key for fault in LogArchiveReader(path).verify()]
        count = read_archive_message_count(path)
    except (ArchiveError, OSError) as error:
        return Check(path.name, describe(error), passed=False)
    if bad:
        named = ", ".join(bad[:_MOST_NAMES]) + (", ..." if len(bad) > _MOST_NAMES else "")
        return Check(path.name, f"{len(bad):,} of its entries are damaged: {named}; take it from a copy", passed=False)
    return Check(path.name, f"all check sums of {count:,} messages of source {source} hold", passed=True)


def _check_journals(account: Account) -> list[Check]:
    whole = sum(account.recovered.values())
    return [Check("journals", _told(account, whole), passed=account.whole)]


def _told(account: Account, whole: int) -> str:
    if account.whole:
        return f"{whole:,} messages are whole"
    kinds = {
        "lost": sum(account.lost.values()),
        "missing records": account.missing,
        "damaged bytes": account.damaged_bytes,
    }
    said = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    return f"{whole:,} messages are whole, but there are {said}; `axds log assemble` keeps what is whole"


def _check_files(files: list[Path]) -> list[Check]:
    empty = [path.name for path in files if not path.stat().st_size]
    if empty:
        return [Check("files", f"{len(empty):,} message files are empty, the first is {empty[0]}", passed=False)]
    return [Check("files", f"{len(files):,} message files await `axds log assemble`")]
