"""The ledger of a store behind a URL.

    .axds/pushes/<number of its first line, 12 digits>     a segment: the lines that one push brought
    .axds/ledger                                            all of them, for who copies the folder

A segment is created and never written again, and an object store lets one of two writers create it. So a push is
committed by its segment; `ledger` follows, and may lag behind after a kill.
"""

from ...errors import ConflictError, DamagedError
from ..ledger.lines import scan
from ..names import FOLDER, LEDGER
from .place import Place

_SEGMENTS = f"{FOLDER}/pushes"


def read_chain(place: Place) -> tuple[bytes, int]:
    """Return the ledger's lines and how many there are.

    Raises:
        DamagedError: A segment is damaged, or one is missing.
    """
    data, seq = [], 0
    for name in sorted(place.sizes(_SEGMENTS)):
        piece = place.read(f"{_SEGMENTS}/{name}") or b""
        records, _, bad = scan(piece, seq=seq)
        if bad or not records or name != f"{seq + 1:012d}":
            raise DamagedError(f"expected line {seq + 1} of the ledger, got a damaged segment: {place.url}/{name}")
        data.append(piece)
        seq += len(records)
    return b"".join(data), seq


def append_chain(place: Place, seq: int, lines: bytes) -> None:
    """Commit lines behind line `seq`.

    Raises:
        ConflictError: Somebody else has pushed meanwhile.
    """
    try:
        place.create(f"{_SEGMENTS}/{seq + 1:012d}", lines)
    except FileExistsError:
        raise ConflictError(
            f"expected {seq} lines at {place.url}, got more: another push came first; pull it"
        ) from None


def publish_ledger(place: Place) -> None:
    """Bring the ledger of the folder level with its segments."""
    while True:
        data, seq = read_chain(place)
        if place.read(f"{FOLDER}/{LEDGER}") != data:
            place.write(f"{FOLDER}/{LEDGER}", data)
        if read_chain(place)[1] == seq:  # else another push came, whose ledger this one may have replaced
            return
