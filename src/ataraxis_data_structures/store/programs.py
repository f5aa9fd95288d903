"""What a store does for the programs of a rig, beside keeping items."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .memo.memo import memoized


class Programs:
    """Verbs of `Store` that run a program's functions and processes."""

    path: Path
    read_only: bool

    def memo(
        self,
        function: Callable[..., Any] | None = None,
        *,
        version: object = None,
        ignore: Sequence[str] = (),
        dataset: Sequence[str] = (),
    ) -> Callable[..., Any]:
        """Have a function computed once for each set of arguments: `@store.memo`, or `@store.memo(version=2)`.

        Results are arrays, dictionaries of arrays, tables and JSON values, all of whose bytes are checked when they
        are read; any other is returned with a warning and not kept. Of processes that ask for one result at a time,
        one computes it. `AXDS_DISABLE_MEMOIZE=1` turns all of it off.

        Args:
            function: The function; its results must follow from its arguments.
            version: What tells its present code from former code; by default a digest of its own code. Functions that
                it calls, and variables of its module, are no part of that.
            ignore: Names of arguments that make no difference to the result.
            dataset: Names of the arguments that alone make a key under `AXDS_MEMOIZE_KEY_MODE=dataset`.

        Raises:
            TypeError: By a call, for an argument that can't be part of a key.
        """
        if function is None:
            return lambda given: self.memo(given, version=version, ignore=ignore, dataset=dataset)
        return memoized(
            self.path, function, version=version, ignore=ignore, dataset=dataset, is_read_only=self.read_only
        )
