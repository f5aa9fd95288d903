"""The consumer's end of one producer's lane, and which lanes a queue has."""

import re
import struct
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core import frame
from .._core.lane import FORMAT, Hub, Reader
from ..errors import QueueBusyError, SegmentError
from ..system.process import identity, is_alive, own_identity, pid_of
from . import segment
from .external import files_of, path_of, read_record, remove
from .segment import Kind, Segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOOK_BYTES = 1 << 20
_SOURCE_AT = 28  # in a record's header
_CLAIM = re.compile("[1-9a-f][0-9a-f]*")
_ROW = struct.Struct(frame.ROW_FORMAT)


class Lane(Reader):
    """One producer's ring of records, as its consumer or an onlooker sees it.

    Attributes:
        name: the name of its segment.
        credit_bytes: what fairness still grants it; `LogDrain.turns` keeps it.
        seated: whether this object is the lane's one consumer.
    """

    def __init__(
        self, name: str, *, hub: Hub | None = None, directory: Path | None = None, block: Segment | None = None
    ) -> None:
        """Map a lane; `directory` is where its log directory is now, if it is known better than when it was made.

        `block` is its segment where that can't be found by name.
        """
        # Not in use by this mapping: a lane is in use as long as its producer lives, or the queue is in use.
        self._segment = block or Segment.attach(name, kind=Kind.LANE, in_use=False)
        facts = segment.described(self._segment.description)
        if facts.get("format") != FORMAT:
            raise SegmentError(f"expected a lane of format {FORMAT} in {name!r}, got {facts.get('format')}")
        try:
            super().__init__(self._segment.payload, facts["claim"], facts["salt"], hub)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SegmentError(f"expected a lane in {name!r}: {error}") from error
        self.name = name
        self.credit_bytes = 0
        self._hub = hub
        self.seated = False
        self._is_dead = False
        self._directory = directory or (Path(facts["directory"]) if facts.get("directory") else None)
        self._external: tuple[Path, int, int] | None = None  # of the span: its file, bytes of both records
        self.lost: Counter[int] = Counter()
        """Source -> large messages whose file was removed or damaged by others."""

    @property
    def description(self) -> dict[str, Any]:
        """What recovery needs to know: queue_id, salt, claim, directory, boot_id, format."""
        return segment.described(self._segment.description)

    def sit_down(self) -> None:
        """Become the one consumer of this lane; QueueBusyError while another process that lives is."""
        mine = own_identity()
        seated = self.take_seat(mine)
        while seated != mine:
            if is_alive(seated):
                raise QueueBusyError(f"expected nobody to consume {self.name!r}, got process {pid_of(seated)}")
            seated = self.take_seat(mine, seated)
        self.seated = True

    def stand_up(self) -> None:
        """Let another process consume this lane."""
        if self.seated:
            self.leave_seat(own_identity())
        self.seated = False

    @property
    def owner(self) -> int:
        """Identity of the process that fills the lane."""
        return identity(self._segment.head.creator_pid, self._segment.head.creator_start)

    def owner_alive(self) -> bool:
        """Tell whether the process that fills this lane still runs."""
        self._is_dead = self._is_dead or not segment.creator_alive(self.name, self._segment.head)
        return not self._is_dead

    def span(self, max_bytes: int) -> memoryview:
        """Return the next whole records, as Reader.span does; a large message is a span of its own, from its file."""
        while True:
            self._external = None
            found = super().span(max_bytes)
            try:
                external = self.external
                if external is None:
                    return found
                path, header = self._file_of(external), external[2]
                whole = read_record(path, header)
            except (FileNotFoundError, SegmentError, ValueError):
                self.lost[found[_SOURCE_AT]] += 1
                super().release(len(found))
                continue
            self._external = path, len(whole), len(found)
            return whole

    def release(self, size: int) -> None:
        """Give the first `size` bytes of the span back to the producer; they must end where a record ends."""
        if self._external is None:
            super().release(size)
            return
        path, whole, in_lane = self._external
        if size != whole:
            raise ValueError(f"expected the end of a record of {whole} bytes, got {size}")
        # The file first: if this process dies in between, the journal says that the record is done with.
        remove([path])
        super().release(in_lane)
        self._external = None

    def release_through(self, seq: int) -> int:
        """Release the records up to `seq` of this claim, which are on the disk already; return how many."""
        released = 0
        self._external = None
        while span := super().span(_LOOK_BYTES):
            done, end = 0, 0
            for offset, _, number, length, *_ in _ROW.iter_unpack(self._rows(span)):
                if number > seq:
                    break
                done, end = done + 1, offset + frame.span(length)
            if done == 0:
                break
            if external := self.external:
                remove([self._file_of(external)])
            super().release(end)
            released += done
        return released

    def _file_of(self, external: tuple[int, int, bytes]) -> Path:
        number, place, _ = external
        return path_of(self.name, number, place, self._directory)

    def rows(self, span: memoryview) -> "NDArray[Any]":
        """Return the records of a span as an array of frame.ROW; those whose check fails are left out."""
        import numpy as np  # noqa: PLC0415 a logger process starts without it

        return np.frombuffer(self._rows(span), dtype=frame.ROW)

    def gaps_left(self) -> dict[int, int]:
        """Return, by source, the dropped messages that no GAP record tells of; the owner may still write one."""
        tables = self.tally.cast("Q")
        left = ((source, tables[512 + source] - tables[768 + source]) for source in range(256))
        return {source: count for source, count in left if count}

    def retire(self) -> None:
        """Add what was counted here to the queue's totals and remove the segment.

        ValueError unless the lane's owner is dead and nothing is left to take.
        """
        if self.owner_alive():
            raise ValueError(f"expected a lane whose owner ended, got {self.name!r} of process {self.owner:x}")
        if not self.drained:
            raise ValueError(f"expected an empty lane, got {self.name!r} with {self.queued_bytes} bytes")
        self.discard()

    def discard(self) -> None:
        """Remove the segment with what it holds; the queue's totals keep its counts."""
        if self._hub is not None:
            self._hub.add_to_totals(self)
        remove(files_of(self.name, self._directory))
        self._segment.unlink()
        if self._hub is not None:
            self._hub.forget(self.claim)
        self.close()

    def _rows(self, span: memoryview) -> bytes:
        return frame.Scanner(span, self.salt).next(len(span) // frame.RECORD_BYTES)

    def close(self) -> None:
        """Leave the lane as it is; spans that are still held stay valid."""
        self.stand_up()


class Lanes:
    """The lanes of a queue, attached as they come and let go as they end."""

    def __init__(self, name: str, hub: Hub, directory: Path | None = None) -> None:
        self._name = name
        self._directory = directory
        self._hub = hub
        self._held: dict[int, Lane] = {}
        self.missing: set[int] = set()
        """Claims whose segment is gone: removed by others, or by a consumer that did not get to strike them off."""
        self.unreadable: dict[int, str] = {}
        """Claims whose segment is damaged, or another user's: why."""
        self.seen: int = -1

    def refresh(self) -> dict[int, Lane]:
        """Return the lanes by claim, oldest first."""
        seen = self._hub.lanes_changed
        if seen == self.seen:
            return self._held
        claims = self._hub.claims()
        held: dict[int, Lane] = {}
        self.unreadable = {}
        for claim in claims:
            try:
                lane = self._held.get(claim) or self._attach(claim)
            except (SegmentError, PermissionError) as error:
                self.unreadable[claim] = str(error)
                continue
            if lane is not None:
                held[claim] = lane
        for claim in self._held.keys() - held.keys():
            self._held[claim].close()
        self._held = held
        # Read anew: a consumer may have removed a lane and struck it off since.
        self.missing = set(self._hub.claims()) & set(claims) - held.keys() - self.unreadable.keys()
        self.seen = seen
        return held

    def _attach(self, claim: int) -> Lane | None:
        name = lane_name(self._name, claim)
        found = _attach(name, self._hub, self._directory)
        if found is not None or claim == self._hub.last_retired or claim not in self._hub.claims():
            return found
        queue_id = self._hub.queue_id  # others may have removed the name: the lane is where its producer maps it
        with suppress(FileNotFoundError):
            block = Segment.attach_removed(
                name, Kind.LANE, lambda facts: (facts.get("queue_id"), facts.get("claim")) == (queue_id, claim)
            )
            return Lane(name, hub=self._hub, directory=self._directory, block=block)
        return None

    def close(self) -> None:
        """Let go of all lanes; those that hold messages keep them."""
        for lane in self._held.values():
            lane.close()
        self._held = {}
        self.seen = -1


def queue_name(queue_id: int) -> str:
    """Return the name of the segment that holds a queue's words."""
    return f"axds-{queue_id >> 24:010x}"


def lane_name(queue: str, claim: int) -> str:
    """Return the name of a lane's segment."""
    return f"{queue}-{claim:x}"


def find_lanes(queue: str, names: Collection[str] | None = None) -> list[str]:
    """Return the names of a queue's lanes, damaged ones included, oldest first, among what an earlier look found."""
    names = segment.list_names() if names is None else names
    claims = (name.removeprefix(f"{queue}-") for name in names if name.startswith(f"{queue}-"))
    return [lane_name(queue, claim) for claim in sorted(int(word, 16) for word in claims if _CLAIM.fullmatch(word))]


def holds_messages(name: str) -> bool:
    """Tell whether a lane has records that nobody consumed yet; one that can't be read counts as such."""
    try:
        lane = _attach(name, None, None)
    except SegmentError:
        return True
    return lane is not None and not lane.empty


def _attach(name: str, hub: Hub | None, directory: Path | None) -> Lane | None:
    try:
        return Lane(name, hub=hub, directory=directory)
    except FileNotFoundError:  # its consumer removed it, and is about to strike it off the list
        return None
