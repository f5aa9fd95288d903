"""Data frames as Parquet files: a frame comes back equal, or is refused before anything is kept."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import DamagedError, StoreError
from ..jsontags import decode, encode
from .file import FILE
from .kind import About, Kind, Payload, PayloadFile
from .libraries import library, loaded

_EXTRA = "tables"
_KEY = b"axds"  # in the file's own metadata: what Parquet and pandas do not keep
_FRAME, _SERIES, _POLARS = "DataFrame", "Series", "polars.DataFrame"
_Dtype = dict[str, Any]  # its name; of categories also these and whether they are ordered


@dataclass(frozen=True)
class _Form:
    """What a frame is beside its columns of values; None where Parquet and pandas keep it."""

    type: str
    labels: dict[str, Any] | None = None  # of the columns, where they are not different texts
    name: Any = None  # of a series, tagged JSON
    index_names: Any = None  # tagged JSON, where they are not texts
    frequency: str | None = None  # of an index of times
    rows: list[int] | None = None  # start, stop and step of the index, where there is no column to count rows by
    dtypes: dict[str, _Dtype] = field(default_factory=dict)  # by column number, where another comes back
    levels: dict[str, _Dtype] = field(default_factory=dict)  # the like of the index

    def dumps(self) -> bytes:
        return json.dumps(vars(self), sort_keys=True).encode()


def _accepts(value: Any) -> bool:
    return _is(value, "pandas", "DataFrame") or _is(value, "pandas", "Series") or _is(value, "polars", "DataFrame")


def _is(value: Any, module: str, name: str) -> bool:
    kind = getattr(loaded(module), name, None)
    return kind is not None and isinstance(value, kind)


def _write(value: Any, file: PayloadFile) -> About:
    arrow = library("pyarrow", _EXTRA)
    try:
        data = _parquet_of_polars(value) if _is(value, "polars", "DataFrame") else _parquet_of_pandas(value)
        _check_equal(value, _loaded(data))
    except (arrow.ArrowException, AssertionError, ValueError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise TypeError(f"expected a table that comes back from Parquet as it was, got another: {reason}") from error
    file.write(memoryview(data))
    return {"columns": [str(name) for name in _columns(value)], "shape": [*value.shape], "type": _type_of(value)}


def _type_of(value: Any) -> str:
    return _POLARS if _is(value, "polars", "DataFrame") else _SERIES if _is(value, "pandas", "Series") else _FRAME


def _columns(value: Any) -> list[Any]:
    return [value.name] if _is(value, "pandas", "Series") else list(value.columns)


def _parquet_of_polars(value: Any) -> Any:
    return _parquet(value.to_arrow(), _Form(_POLARS))


def _parquet_of_pandas(value: Any) -> Any:
    pandas, arrow = library("pandas", _EXTRA), library("pyarrow", _EXTRA)
    is_series = isinstance(value, pandas.Series)
    frame = value.to_frame("0") if is_series else value
    form = _Form(_type_of(value), name=encode(value.name) if is_series else None)
    if not _are_texts(frame.columns):
        form = replace(form, labels=_labels_of(frame.columns))
        frame = frame.set_axis([f"{number}" for number in range(frame.shape[1])], axis=1)
    if not all(name is None or type(name) is str for name in frame.index.names):
        form = replace(form, index_names=encode(list(frame.index.names)))
        frame = frame.set_axis(frame.index.set_names([None] * frame.index.nlevels), axis=0)
    if isinstance(frame.index, pandas.DatetimeIndex | pandas.TimedeltaIndex):
        form = replace(form, frequency=frame.index.freqstr)
    if isinstance(frame.index, pandas.RangeIndex) and not frame.shape[1]:
        names = form.index_names or encode(list(frame.index.names))
        form = replace(form, rows=[frame.index.start, frame.index.stop, frame.index.step], index_names=names)
    table = arrow.Table.from_pandas(frame)
    data = _parquet(table, form)
    exact = _with_dtypes(form, frame, _frame_of(data)[0])
    return data if exact == form else _parquet(table, exact)


def _are_texts(labels: Any) -> bool:
    pandas = library("pandas", _EXTRA)
    return type(labels) is pandas.Index and labels.is_unique and all(type(label) is str for label in labels)


def _labels_of(labels: Any) -> dict[str, Any]:
    dtype = None if labels.nlevels > 1 else str(labels.dtype)
    kind = type(labels).__name__
    return {"dtype": dtype, "kind": kind, "labels": encode(list(labels)), "names": encode(list(labels.names))}


def _with_dtypes(form: _Form, frame: Any, found: Any) -> _Form:
    """Return the form with the dtypes that came back as others."""
    columns = zip(frame.dtypes, found.dtypes, strict=True)
    levels = [] if form.rows else zip(_levels(frame.index), _levels(found.index), strict=True)
    return replace(
        form,
        dtypes={f"{number}": _described(wanted) for number, (wanted, got) in enumerate(columns) if wanted != got},
        levels={
            f"{number}": _described(wanted.dtype)
            for number, (wanted, got) in enumerate(levels)
            if wanted.dtype != got.dtype
        },
    )


def _levels(index: Any) -> list[Any]:
    return [index.get_level_values(number) for number in range(index.nlevels)]


def _described(dtype: Any) -> _Dtype:
    name = f"string[{dtype.storage}]" if str(dtype) == "string" else str(dtype)
    if name != "category":
        return {"name": name}
    values = dtype.categories
    return {
        "name": name,
        "categories": encode(values.tolist()),
        "dtype": _described(values.dtype)["name"],
        "ordered": dtype.ordered,
    }


def _as_dtype(values: Any, dtype: _Dtype) -> Any:
    """Return a column or a level of an index with the dtype that it had."""
    if dtype["name"] != "category":
        return values.astype(dtype["name"])
    pandas = library("pandas", _EXTRA)
    categories = pandas.Index(decode(dtype["categories"]), dtype=dtype["dtype"])
    made = pandas.Categorical(values.astype(object), categories=categories, ordered=dtype["ordered"])
    if isinstance(values, pandas.Index):
        return pandas.CategoricalIndex(made, name=values.name)
    return pandas.Series(made, index=values.index, name=values.name)


def _index(index: Any, form: _Form) -> Any:
    pandas = library("pandas", _EXTRA)
    if form.rows:
        return pandas.RangeIndex(*form.rows)
    if not form.levels:
        return index
    levels = [
        _as_dtype(level, form.levels[f"{number}"]) if f"{number}" in form.levels else level
        for number, level in enumerate(_levels(index))
    ]
    return levels[0] if index.nlevels == 1 else pandas.MultiIndex.from_arrays(levels, names=index.names)


def _parquet(table: Any, form: _Form) -> Any:
    """Return the bytes of a file."""
    arrow, parquet = library("pyarrow", _EXTRA), library("pyarrow.parquet", _EXTRA)
    sink = arrow.BufferOutputStream()
    parquet.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: form.dumps()}), sink)
    return sink.getvalue()


def _frame_of(source: Any) -> tuple[Any, _Form]:
    """Return the frame of a file as pandas or polars reads it, and its form."""
    arrow, parquet = library("pyarrow", _EXTRA), library("pyarrow.parquet", _EXTRA)
    # A ParquetFile, not read_table: that one looks for partitions and needs the datasets module.
    table = parquet.ParquetFile(arrow.BufferReader(source)).read()
    form = _form_of(table.schema)
    return library("polars", _EXTRA).from_arrow(table) if form.type == _POLARS else table.to_pandas(), form


def _loaded(source: Any) -> Any:
    """Return the frame of a file as it was given."""
    frame, form = _frame_of(source)
    if form.type == _POLARS:
        return frame
    if form.rows:  # without a column Parquet counts no rows
        frame = frame.reindex(_index(frame.index, form))
    elif form.levels:
        frame = frame.set_axis(_index(frame.index, form), axis=0)
    if form.dtypes:
        columns = [
            _as_dtype(frame.iloc[:, number], form.dtypes[f"{number}"])
            if f"{number}" in form.dtypes
            else frame.iloc[:, number]
            for number in range(frame.shape[1])
        ]
        frame = library("pandas", _EXTRA).concat(columns, axis=1)
    if form.labels is not None:
        frame.columns = _labels(form.labels)
    if form.index_names is not None:
        frame.index.names = decode(form.index_names)
    if form.frequency is not None:
        frame.index.freq = form.frequency
    return frame if form.type != _SERIES else frame.iloc[:, 0].rename(decode(form.name))


def _form_of(schema: Any) -> _Form:
    kept = (schema.metadata or {}).get(_KEY)
    return _Form(**json.loads(kept)) if kept is not None else _Form(_FRAME)


def _labels(kept: dict[str, Any]) -> Any:
    pandas = library("pandas", _EXTRA)
    labels, names = decode(kept["labels"]), decode(kept["names"])
    if kept["kind"] == "MultiIndex":
        return pandas.MultiIndex.from_tuples(labels, names=names)
    if kept["kind"] == "RangeIndex":
        start, step = (labels[0] if labels else 0), (labels[1] - labels[0] if len(labels) > 1 else 1)
        return pandas.RangeIndex(start, start + step * len(labels), step, name=names[0])
    return pandas.Index(labels, dtype=kept["dtype"], name=names[0])


def _check_equal(value: Any, found: Any) -> None:
    """Raise AssertionError unless a frame came back as it was."""
    if _is(value, "polars", "DataFrame"):
        library("polars.testing", "tables").assert_frame_equal(value, found, check_exact=True)
        return
    testing = library("pandas.testing", _EXTRA)
    compare = testing.assert_series_equal if _is(value, "pandas", "Series") else testing.assert_frame_equal
    compare(value, found, check_exact=True)


def _read(payload: Payload, _: About) -> Any:
    data = payload.data()
    arrow = library("pyarrow", _EXTRA)
    try:
        return _loaded(data)
    except (arrow.ArrowException, ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"expected a table in {payload.path}: {error}", (str(payload.path),)) from None


def _open(payload: Payload, _: About) -> Any:
    return library("pyarrow.dataset", _EXTRA).dataset(payload.path, format="parquet")


def _about(path: Path) -> About:
    arrow, parquet = library("pyarrow", _EXTRA), library("pyarrow.parquet", _EXTRA)
    try:
        with parquet.ParquetFile(path) as file:
            frame = _loaded(arrow.py_buffer(path.read_bytes()))
            form = _form_of(file.schema_arrow)
    except (arrow.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"expected a table in {path}: {error}", (str(path),)) from None
    return {"columns": [str(name) for name in _columns(frame)], "shape": [*frame.shape], "type": form.type}


def table_at(uri: str) -> Any:
    """Return the frame that a reference leads to: a Parquet or CSV file, at a path or URL that pandas can read.

    Raises:
        StoreError: The name of the file ends otherwise.
    """
    readers = {".parquet": "read_parquet", ".pq": "read_parquet", ".csv": "read_csv", ".tsv": "read_table"}
    reader = readers.get(PurePosixPath(uri.partition("?")[0]).suffix.lower())
    if reader is None:
        raise StoreError(f"expected a reference to a file of {sorted(readers)}, got {uri}")
    return getattr(library("pandas", _EXTRA), reader)(uri)


def _is_file(value: Any) -> bool:
    return isinstance(value, Path)


def _write_file(value: Any, file: PayloadFile) -> About:
    about = _about(Path(value))  # before its bytes are taken: what is no table stays outside
    FILE.write(value, file)
    return about


TABLE = Kind("table", lambda _: ".parquet", _accepts, _write, _read, _open, format="parquet", about=_about)
TABLE_FILE = replace(TABLE, accepts=_is_file, write=_write_file, is_default=False)  # a file of Parquet, as it is
