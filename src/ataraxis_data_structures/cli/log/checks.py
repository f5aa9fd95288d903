"""What is looked at to call a log sound."""

from pathlib import Path

import numpy as np

from ...errors import ArchiveError
from ...logs.archive.index import Contents as Archive
from ...logs.archive.reader import LogArchiveReader
from ...logs.journal.messages import Account
from ...logs.recovery.recover import scan_journals
from ...system.progress import progress_bar
from ..advice import describe
from .report_page.page import Check
from .session import Contents

_MOST_NAMES = 5


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
        archive = Archive(path)
        bad = _bad_entries(archive)
        count = LogArchiveReader(path).message_count
    except (ArchiveError, OSError) as error:
        return Check(path.name, describe(error), passed=False)
    if bad:
        named = ", ".join(bad[:_MOST_NAMES]) + (", ..." if len(bad) > _MOST_NAMES else "")
        return Check(path.name, f"{len(bad):,} of its entries are damaged: {named}; take it from a copy", passed=False)
    return Check(path.name, f"all check sums of {count:,} messages of source {source} hold", passed=True)


def _bad_entries(archive: Archive) -> list[str]:
    """Return the names of the entries whose bytes are not what was stored."""
    bad, at = [], 0
    while at < len(archive):
        try:
            for times, _ in archive.messages(np.arange(at, len(archive))):
                at += len(times)
        except ArchiveError:
            bad.append(archive.directory.key(at))
            at += 1
    return bad


def _check_journals(account: Account) -> list[Check]:
    whole = sum(account.recovered.values())
    checks = [Check("journals", _told(account, whole), passed=account.whole)]
    if account.dropped:
        said = ", ".join(f"{count:,} of source {source}" for source, count in sorted(account.dropped.items()))
        checks.append(
            Check("drops", f"a full lane refused {said}; larger lanes or a faster disk take them", passed=False)
        )
    return checks


def _told(account: Account, whole: int) -> str:
    if account.whole:
        return f"{whole:,} messages are whole"
    kinds = {
        "lost": sum(account.lost.values()),
        "incomplete": sum(account.incomplete.values()),
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
