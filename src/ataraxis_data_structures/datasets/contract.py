"""What a data set must hold: one definition for npz archives, HDF5 files, folders and mappings of arrays."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ContractError
from .headers import Entry, Source, open_source

Sizes = Mapping[str, int]
Limit = float | Callable[[Sizes], float] | None

_KINDS = {"integer": ("int", "uint"), "float": ("float",), "complex": ("complex",), "number": ("int", "uint", "float")}


@dataclass(frozen=True)
class Field:
    """A named array of a contract.

    Args:
        shape: Sizes by words: `"n h w"`. A letter is one size wherever it stands in the contract, a number is itself,
            `*` is any size; `"h w | i h w"` allows either, `""` is a scalar. None: not checked.
        dtype: `"float32"`, a kind (`"integer"`, `"float"`, `"complex"`), `"str"`, or several of them. None: any dtype
            but objects.
        optional: Whether the field may be absent.
        min: The least value (of complex numbers: magnitude); a function is given the sizes by letter.
        max: The greatest value, likewise.
        finite: Whether NaN and infinities are refused.
        aliases: Older names; a field under one of them is a problem, which `convert` mends.
    """

    shape: str | None = None
    dtype: str | tuple[str, ...] | None = None
    optional: bool = False
    min: Limit = None
    max: Limit = None
    finite: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """One rule that a field breaks: `present name dtype shape min max finite`; what was wanted and what is there."""

    field: str
    rule: str
    want: Any
    got: Any

    def to_tuple(self) -> tuple[str, str, Any, Any]:
        """Return field, rule, what was wanted, what is there."""
        return self.field, self.rule, self.want, self.got

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}: expected {self.want}, got {'nothing' if self.got is None else self.got}"


@dataclass(frozen=True)
class Report:
    """All that a check found; `depth` is `headers` or `values`."""

    contract: str
    depth: str
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, as its JSON has them."""
        problems = [vars(problem) for problem in self.problems]
        return {"contract": self.contract, "depth": self.depth, "ok": self.ok, "problems": problems}

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def require_ok(self, what: object) -> None:
        """Raise a ContractError that names every problem, if there is one."""
        if self.problems:
            listed = "; ".join(map(str, self.problems))
            raise ContractError(f"{what} does not keep the contract {self.contract}: {listed}", self)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems)) or f"keeps the contract {self.contract}"


@dataclass(frozen=True)
class Contract:
    """Fields by their names, checked in this order; in HDF5 a name is a path, `dataset@attribute` or `@attribute`."""

    name: str
    fields: Mapping[str, Field]

    def check(self, source: Any, *, values: bool = False) -> Report:
        """Return all problems of a file, folder, URL or mapping, from headers; with `values` also those of the values.

        Args:
            source: A path or URL of an npz archive or HDF5 file, a folder of `.npy` files, a mapping of arrays.
            values: Read the data too, a few MiB at a time, for `min`, `max` and `finite`.

        Raises:
            FileNotFoundError: Nothing is there.
            ValueError: The file is neither an npz archive nor HDF5.
        """
        with open_source(source) as opened:
            return _Check(self, opened, values=values).run()


class _Check:
    """One check: the sizes that letters stand for, and what was found so far."""

    def __init__(self, contract: Contract, source: Source, *, values: bool) -> None:
        self._contract = contract
        self._source = source
        self._values = values
        self._sizes: dict[str, tuple[int, str]] = {}  # letter: size, and the field that it is from
        self._problems: list[Problem] = []
        self._limited: list[tuple[str, str]] = []

    def run(self) -> Report:
        for name, wanted in self._contract.fields.items():
            self._check_field(name, wanted)
        if self._values:  # behind all headers: a limit may depend on any size
            for name, stored in self._limited:
                self._check_values(name, stored, self._contract.fields[name])
        return Report(self._contract.name, "values" if self._values else "headers", tuple(self._problems))

    def _add(self, name: str, rule: str, want: Any, got: Any) -> None:
        self._problems.append(Problem(name, rule, want, got))

    def _check_field(self, name: str, wanted: Field) -> None:
        stored, entry = find_field(self._source, name, wanted)
        if entry is None:
            if not wanted.optional:
                self._add(name, "present", "a field", None)
            return
        if stored != name:
            self._add(name, "name", name, stored)
        if entry.fault:
            self._add(name, "present", "a field", entry.fault)
            return
        is_right_dtype = fits_dtype(entry.dtype, wanted.dtype)
        if not is_right_dtype:
            self._add(name, "dtype", dtype_text(wanted.dtype), entry.dtype)
        if wanted.shape is not None:
            self._check_shape(name, wanted.shape, entry.shape)
        if is_right_dtype:
            self._limited.append((name, stored))

    def _check_shape(self, name: str, shape: str, got: tuple[int, ...]) -> None:
        words = next((words for text in shape.split("|") if len(words := text.split()) == len(got)), None)
        if words is None:
            self._add(name, "shape", shape, list(got))
            return
        is_right, broken = True, {}
        for word, size in zip(words, got, strict=True):
            if word.isdecimal():
                is_right &= size == int(word)
            elif word != "*" and self._sizes.setdefault(word, (size, name))[0] != size:
                broken[word] = "{}={} of {}".format(word, *self._sizes[word])
        if broken:
            self._add(name, "shape", f"{' '.join(words)} with {', '.join(broken.values())}", list(got))
        elif not is_right:
            self._add(name, "shape", " ".join(words), list(got))

    def _check_values(self, name: str, stored: str, wanted: Field) -> None:
        if wanted.min is None and wanted.max is None and not wanted.finite:
            return
        least, greatest, not_finite, count = np.inf, -np.inf, 0, 0
        for block in self._source.blocks(stored):
            if not block.size:
                continue
            values = np.abs(block) if block.dtype.kind == "c" else block
            is_finite = np.isfinite(values)
            not_finite += int(values.size - np.count_nonzero(is_finite))
            count += values.size
            known = values if is_finite.all() else values[~np.isnan(values)]
            if known.size:
                least, greatest = min(least, known.min()), max(greatest, known.max())
        if wanted.finite and not_finite:
            self._add(name, "finite", "finite values", f"{not_finite} of {count} not finite")
        sizes = {letter: size for letter, (size, _) in self._sizes.items()}
        low = wanted.min(sizes) if callable(wanted.min) else wanted.min
        high = wanted.max(sizes) if callable(wanted.max) else wanted.max
        if low is not None and least < low:
            self._add(name, "min", low, _plain(least))
        if high is not None and greatest > high:
            self._add(name, "max", high, _plain(greatest))


def find_field(source: Source, name: str, wanted: Field) -> tuple[str, Entry | None]:
    """Return under which name a source holds a field, and what stands there."""
    for known in (name, *wanted.aliases):
        if (entry := source.find(known)) is not None:
            return known, entry
    return name, None


def fits_dtype(got: str, wanted: str | tuple[str, ...] | None) -> bool:
    """Tell whether a dtype is one of those wanted."""
    if wanted is None:
        return got != "object"
    names = (wanted,) if isinstance(wanted, str) else wanted
    kind = got.rstrip("0123456789")
    return any(got == name or kind in _KINDS.get(name, ()) for name in names)


def dtype_text(wanted: str | tuple[str, ...] | None) -> str:
    """Return the wanted dtypes as a person reads them."""
    if wanted is None:
        return "any but object"
    return wanted if isinstance(wanted, str) else " or ".join(wanted)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
