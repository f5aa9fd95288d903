"""What a copy could not keep because its file system cannot store it."""

import warnings

from .._core.bulk import LOST_ATTRIBUTES, LOST_TIME

_KINDS = {LOST_TIME: "time of change", LOST_ATTRIBUTES: "extended attributes or ACL"}


class Losses:
    """Counts files and folders by what of them was not kept; threads add to it."""

    def __init__(self) -> None:
        self._names: dict[int, list[str]] = {kind: [] for kind in _KINDS}

    def add(self, name: str, flags: int) -> None:
        """Note what of a file was not kept, which is nothing for most."""
        for kind, names in self._names.items() if flags else ():
            if flags & kind:
                names.append(name)

    def warn(self, destination: object) -> None:
        """Tell what was not kept, in one warning of each kind."""
        for kind, names in self._names.items():
            if names:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                text = f"{destination} cannot store the {_KINDS[kind]} of {min(names)!r}{more}"
                warnings.warn(text, RuntimeWarning, stacklevel=3)
