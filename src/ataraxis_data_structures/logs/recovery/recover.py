"""Completes a log whose processes were all killed: from the lanes into the journal, from the journal into files."""

from dataclasses import dataclass, field
from pathlib import Path

from ..journal.messages import Account, MessageScan
from ..journal.reader import open_journals
from ..journal.resume import journals_of
from ..log_directory import POINTER, DirectoryLock, locked_folder
from .files import expand_journals
from .lanes import dead_queues, salvage_dead


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
    incomplete: dict[int, int] = field(default_factory=dict)
    """Source -> messages of which only some fragments are there: their put did not return."""
    dropped: dict[int, int] = field(default_factory=dict)
    """Source -> messages that a full lane refused."""
    missing: int = 0
    """Records that were numbered and are nowhere."""
    damaged_bytes: int = 0
    """Bytes of journals that hold no valid record."""

    @property
    def whole(self) -> bool:
        """Whether nothing that was accepted is known to be lost."""
        return not (self.lost or self.missing or self.damaged_bytes)


def recover_log_directory(directory: Path, *, patience_s: float = 60.0) -> Recovery:
    """Finish what sessions that died left of a log and return what there is; nothing to do is no error.

    QueueBusyError while a logger works in the directory; one whose owner died is waited for.
    """
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"expected a log directory at {Path(directory).resolve()}, got none")
    with locked_folder(Path(directory), patience_s=patience_s) as folder:
        return _recover(directory, folder, counted=True)


def finish_log_directory(directory: Path, folder: int) -> None:
    """Recover a log directory that is locked as `folder`, without the counting, which reads all its journals."""
    _recover(directory, folder, counted=False)


def _recover(directory: Path, folder: int, *, counted: bool) -> Recovery:
    directory = Path(directory).resolve()
    had_pointer = (directory / POINTER).exists()
    if not had_pointer and not dead_queues(directory) and not journals_of(directory):
        return Recovery()
    with DirectoryLock(directory, folder=folder) as lock:
        salvaged = salvage_dead(directory)
        account = scan_journals(directory) if counted else Account()
        expanded = expand_journals(directory)
        lock.erase()
    return Recovery(
        salvaged=dict(sorted(salvaged.items())),
        expanded=expanded,
        recovered=account.recovered,
        lost=account.lost,
        incomplete=account.incomplete,
        dropped=account.dropped,
        missing=account.missing,
        damaged_bytes=account.damaged_bytes,
    )


def scan_journals(directory: Path) -> Account:
    """Read the journals of a log anew and return what is whole in them and what is not."""
    journals = open_journals(directory)
    scan = MessageScan(journals)
    for _ in scan.batches():
        pass
    for journal in journals:
        journal.close()
    return scan.account
