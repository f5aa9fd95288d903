"""Completes a log whose processes were all killed: from the lanes into the journal, from the journal into files."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...memory import external
from ...memory.names import Names
from ..journal.holdings import Holdings
from ..journal.messages import Account, MessageScan
from ..journal.reader import open_journals
from ..log_directory import LogDirectory
from ..pending import join_pending, refuse_waiting_logger
from .archives import cut_archives, rescue
from .files import expand_journals
from .lanes import dead_queues, salvage


@dataclass(frozen=True)
class Recovery:
    """What was found in a log directory and in shared memory, and what could not be had back."""

    salvaged: dict[int, int] = field(default_factory=dict)
    """Source -> messages taken out of the lanes of dead processes."""
    expanded: int = 0
    """Messages that were given their file."""
    recovered: dict[int, int] = field(default_factory=dict)
    """Source -> whole messages in the journals, those among them that were expanded included."""
    lost: dict[int, int] = field(default_factory=dict)
    """Source -> messages that were written once, as a checkpoint says, and are damaged now."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Source -> messages that a full lane refused."""
    missing: int = 0
    """Records that were numbered and are nowhere."""
    damaged_bytes: int = 0
    """Bytes of journals that hold no valid record."""
    missing_queues: tuple[str, ...] = ()
    """Queues that the owner record names and that are gone from shared memory with what they held, if anything."""

    rescued: dict[int, int] = field(default_factory=dict)
    """Source -> whole messages of archives that were cut, which are files again."""
    cut_archives: tuple[str, ...] = ()
    """Archives that were cut: what was behind the cut is lost."""

    @property
    def whole(self) -> bool:
        """Whether nothing that was accepted is known to be lost."""
        return not (self.lost or self.missing or self.damaged_bytes or self.missing_queues or self.cut_archives)


def recover_log_directory(directory: Path, *, patience_s: float = 60.0, force: bool = False) -> Recovery:
    """Finish what sessions that died left of a log and return what there is; nothing to do is no error.

    Of an archive that was cut, the whole messages become files again, and it is set aside as `NAME.damaged`.
    A directory that was renamed, mounted elsewhere or restored finds its messages; a copy does not take the original's.

    Args:
        directory: The log directory.
        patience_s: How long to wait, in seconds, for a logger process whose owner died, or another recovery.
        force: Do not wait for processes of another container that can't be asked for: they are dead, and so is what
            shared memory of theirs is not found here.

    Returns:
        What was found, and what is known to be lost.

    Raises:
        FileNotFoundError: There is no such directory.
        QueueBusyError: A logger works there, or its owner lives.
        CopiedLogError: It is a copy of a directory that is still there.
    """
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"expected a log directory at {Path(directory).resolve()}, got none")
    with LogDirectory(Path(directory), "recovery", patience_s=patience_s, force=force) as locked:
        return _recover(locked, counted=True, force=force)


def _with_archives(found: Recovery, holdings: Holdings) -> Recovery:
    """Rescue what is whole in archives that were cut, unless journals are left that may hold the same messages."""
    cut = cut_archives(holdings.directory, holdings.archives)
    rescued: Counter[int] = Counter()
    if cut and not holdings.journals():
        for archive in cut:
            rescued.update(rescue(archive))
    return replace(found, rescued=dict(sorted(rescued.items())), cut_archives=tuple(path.name for path in cut))


def finish_log_directory(directory: LogDirectory) -> None:
    """Recover a log directory that the caller holds, without the counting, which reads all its journals."""
    _recover(directory, counted=False)


def _recover(directory: LogDirectory, *, counted: bool, force: bool = False) -> Recovery:
    path, record = directory.path, directory.record
    record.refuse_copy(path, directory.status)
    holdings = Holdings(path)
    if join_pending(path, holdings.large):
        holdings = Holdings(path)
    if counted:
        refuse_waiting_logger(path, holdings.large)
    for name in holdings.unfinished:
        (path / name).unlink(missing_ok=True)
    names = Names.look()._replace(directory=holdings.large)
    queues = dead_queues(path, names.memory)
    external.remove(external.left_in(path, holdings.large, names.memory))
    if not record.queues and not queues and not holdings.journals():
        return _with_archives(Recovery(), holdings) if counted else Recovery()
    salvaged = salvage(queues, directory, holdings, names)
    account = scan_journals(holdings) if counted else Account()
    expanded = expand_journals(holdings)
    found = Recovery(
        salvaged=dict(sorted(salvaged.items())),
        expanded=expanded,
        recovered=account.recovered,
        lost=account.lost,
        dropped=account.dropped,
        missing=account.missing,
        damaged_bytes=account.damaged_bytes,
        missing_queues=_forget_missing(directory, force=force),
    )
    return _with_archives(found, holdings) if counted else found


def _forget_missing(directory: LogDirectory, *, force: bool) -> tuple[str, ...]:
    """Return the queues that the owner record names and that are nowhere, and strike off those that can't come back."""
    missing = directory.record.queues
    gone = [queue.queue_id for queue in missing if force or not queue.is_far]
    directory.record.without(*gone).write(directory.descriptor)
    return tuple(queue.queue for queue in missing)


def scan_journals(directory: Path | Holdings) -> Account:
    """Read the journals of a log anew and return what is whole in them and what is not."""
    journals = open_journals(directory)
    scan = MessageScan(journals)
    for _ in scan.batches():
        pass
    for journal in journals:
        journal.close()
    return scan.account
