"""Directories as DataFrames: a column is an array."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..kinds.libraries import library


def frame_of(arrays: Mapping[str, Any], dtypes: Mapping[str, Any] | None) -> Any:
    """Return a DataFrame of arrays of one length; one element is repeated, bytes become texts."""
    pandas = library("pandas", "tables")
    rows = {key: np.atleast_1d(array) for key, array in arrays.items() if dtypes is None or key in dtypes}
    count = max((len(array) for array in rows.values()), default=0)
    wrong = {key: len(array) for key, array in rows.items() if len(array) not in (1, count)}
    if wrong:
        raise ValueError(f"expected arrays of {count} rows or of one, got {wrong}")
    columns = {}
    for key, array in rows.items():
        whole = np.repeat(array, count, axis=0) if len(array) == 1 else np.array(array)
        if whole.dtype.kind == "S":
            whole = np.char.decode(whole, "utf-8")
        if dtypes is not None:
            whole = whole.astype(dtypes[key])
        columns[key] = whole.tolist() if whole.ndim > 1 else whole
    return pandas.DataFrame(columns)


def text_columns(frame: Any, dtypes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the columns of a DataFrame as arrays that HDF5 holds."""
    found = {}
    for key in frame.columns:
        column = frame[key].to_numpy()
        if dtypes is not None and key in dtypes:
            column = column.astype(dtypes[key])
        elif column.dtype.kind in "OU":
            column = np.char.encode(column.astype("U"), "utf-8")
        found[str(key)] = column
    return found
