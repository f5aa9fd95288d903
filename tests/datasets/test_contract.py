"""A contract finds every problem of a data set in one pass, from headers, and opens no pickle."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import ContractError
from ataraxis_data_structures.datasets import Contract, Field, check, convert, find_contract
from ataraxis_data_structures.datasets.headers import read_npy_header
from datasets_vectors import VECTORS

PTYCHO = find_contract("ptycho-npz@1")


def arrays_of(vector):
    return {name: np.zeros(shape, dtype) for name, (shape, dtype) in vector["fields"].items()}


def as_npz(path, arrays):
    np.savez(path.with_suffix(".npz"), **arrays)
    return path.with_suffix(".npz")


def as_compressed(path, arrays):
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    return path.with_suffix(".npz")


def as_folder(path, arrays):
    path.mkdir()
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    return path


KINDS = [as_npz, as_compressed, as_folder, lambda _, arrays: arrays]
KIND_NAMES = ["npz", "compressed npz", "folder", "mapping"]


@pytest.mark.parametrize("kind", KINDS, ids=KIND_NAMES)
@pytest.mark.parametrize("vector", VECTORS["contract"], ids=lambda vector: vector["what"])
def test_a_report_is_the_known_one_whatever_holds_the_arrays(vector, kind, tmp_path):
    assert PTYCHO.check(kind(tmp_path / "data", arrays_of(vector))).to_dict() == vector["report"]


@pytest.mark.parametrize("kind", KINDS[:3], ids=KIND_NAMES[:3])
def test_an_object_member_is_a_problem_and_not_an_execution(kind, good, tmp_path):
    class Planted:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    for name in ("xcoords", "anything"):
        good[name] = np.array([Planted()], dtype=object)
    report = PTYCHO.check(kind(tmp_path / "data", good), values=True)
    assert [problem.to_tuple() for problem in report.problems] == [
        ("xcoords", "dtype", "float64", "object"),
        ("xcoords", "shape", "n with n=20 of diffraction", [1]),
    ]
    assert not (tmp_path / "executed").exists()


def test_an_object_is_a_problem_where_any_dtype_is_allowed(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    (problem,) = Contract("any", {"a": Field()}).check(tmp_path / "a.npz").problems
    assert (problem.rule, problem.got) == ("dtype", "object")


@pytest.mark.parametrize(
    ("shape", "got", "want"),
    [
        ("n", (3,), None),
        ("", (), None),
        ("*  3", (9, 3), None),
        ("h w | c h w", (4, 5), None),
        ("h w | c h w", (2, 4, 5), None),
        ("m m", (4, 4), None),
        ("n", (), "n"),
        ("* 3", (9, 4), "* 3"),
        ("h w | c h w", (5,), "h w | c h w"),
        ("m m", (4, 5), "m m with m=4 of a"),
        ("", (1,), ""),
    ],
)
def test_shapes_are_read_word_by_word(shape, got, want):
    problems = Contract("shapes", {"a": Field(shape)}).check({"a": np.zeros(got)}).problems
    assert [problem.want for problem in problems] == ([] if want is None else [want])


@pytest.mark.parametrize(
    ("dtype", "fits", "not_fits"),
    [
        ("float32", ["<f4", ">f4"], ["f8", "i4", "c8"]),
        ("float", ["f2", "f4", "f8"], ["i4", "c8", "?"]),
        ("integer", ["u1", "i8"], ["f8", "?"]),
        ("complex", ["c8", "c16"], ["f8"]),
        (("float32", "uint16"), ["f4", "u2"], ["u4"]),
        ("str", ["U3"], ["S3", "O"]),
        (None, ["f4", "U3", [("a", "u1")]], ["O", [("a", "O")]]),
    ],
)
def test_dtypes_are_names_or_kinds(dtype, fits, not_fits):
    contract = Contract("dtypes", {"a": Field(dtype=dtype)})
    assert [d for d in fits if not contract.check({"a": np.zeros(2, d)}).ok] == []
    assert [d for d in not_fits if contract.check({"a": np.zeros(2, d)}).ok] == []


@pytest.mark.parametrize("kind", KINDS, ids=KIND_NAMES)
def test_values_are_held_against_limits_only_where_asked(kind, good, tmp_path):
    good["diffraction"][3, 4, 5] = -2
    good["xcoords"][:2] = np.nan, np.inf
    place = kind(tmp_path / "data", good)
    assert PTYCHO.check(place).ok
    report = PTYCHO.check(place, values=True)
    assert report.depth == "values"
    assert [problem.to_tuple() for problem in report.problems] == [
        ("diffraction", "min", 0, -2.0),
        ("xcoords", "finite", "finite values", "2 of 20 not finite"),
    ]


def test_a_limit_may_depend_on_a_size():
    contract = Contract("index", {"i": Field("n", "integer", max=lambda sizes: sizes["k"] - 1), "a": Field("k")})
    assert contract.check({"i": np.array([0, 2]), "a": np.zeros(3)}, values=True).ok
    (problem,) = contract.check({"i": np.array([0, 3]), "a": np.zeros(3)}, values=True).problems
    assert problem.to_tuple() == ("i", "max", 2, 3)


def test_values_of_a_large_compressed_member_are_read_in_pieces(tmp_path):
    large = np.zeros(3 << 20, np.float64)
    large[-1] = 7
    np.savez_compressed(tmp_path / "a.npz", a=large)
    code = (
        "import resource, sys; from ataraxis_data_structures.datasets import Contract, Field;"
        f"before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        f"report = Contract('c', {{'a': Field(max=6)}}).check({str(tmp_path / 'a.npz')!r}, values=True);"
        "assert report.problems[0].got == 7.0;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(got) * 1024 < large.nbytes


def test_a_large_archive_costs_its_headers_only(tmp_path):
    """A sparse gigabyte: the bytes that the check asks for are counted by the kernel."""
    path = tmp_path / "large.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("diffraction.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f4", "fortran_order": False, "shape": (1024, 256, 256)}
        )
        for _ in range(256):
            member.write(bytes(1 << 20))
    code = (
        "import re; from pathlib import Path; from ataraxis_data_structures.datasets import Contract, Field;"
        "contract = Contract('c', {'diffraction': Field('n h w', 'float32')});"
        "read = lambda: int(re.search(r'rchar: (\\d+)', Path('/proc/self/io').read_text())[1]);"
        f"contract.check({str(path)!r}); before = read();"
        f"assert contract.check({str(path)!r}).ok; print(read() - before)"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(got) < 100_000


HEADER = b"\x93NUMPY\x01\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no header",
        HEADER + b"\xff\xff",
        HEADER + b"\x04\x00abcd",
        HEADER + b"\x02\x00{}",
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f",
        b"\x93NUMPY\x09\x00\x00\x00",
        HEADER + b"\xd0\x07" + b"(" * 2000,
        HEADER + b"\x3c\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}".ljust(60),
        HEADER + b"\x46\x00" + b"{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}".ljust(70),
        HEADER
        + b"\x50\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': __import__('os').getpid()}".ljust(80),
    ],
    ids=range(11),
)
def test_a_damaged_member_is_a_problem_of_its_field(data, good, tmp_path):
    np.savez(tmp_path / "a.npz", **{k: v for k, v in good.items() if k != "xcoords"})
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("xcoords.npy", data)
    (problem,) = PTYCHO.check(tmp_path / "a.npz").problems
    assert (problem.field, problem.rule) == ("xcoords", "present")
    assert str(problem.got).startswith("damaged")


def test_a_member_whose_data_are_cut_is_a_problem(good, tmp_path):
    folder = as_folder(tmp_path / "data", good)
    os.truncate(folder / "xcoords.npy", 200)
    (problem,) = PTYCHO.check(folder).problems
    assert problem.got == "damaged: expected 288 bytes, got 200"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_headers_of_every_version_are_read(version, tmp_path):
    dtype = np.dtype([("é" if version == (3, 0) else "a", "<f4"), ("b", "i8", (2,))])
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.zeros((2, 3), dtype, order="F"), version=version)
    with (tmp_path / "a.npy").open("rb") as file:
        got = read_npy_header(file)
        assert got == (dtype, (2, 3), True, file.tell())


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04", bytes(100)])
def test_a_file_of_another_format_is_an_error(data, tmp_path):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(ValueError, match="expected an npz archive"):
        check(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "absent.npz")


def test_an_unknown_contract_is_answered_with_near_names():
    with pytest.raises(KeyError, match="ptycho-npz@1"):
        check({}, "ptycho-npz")


def test_a_report_tells_all_problems_in_one_error(good):
    del good["ycoords"]
    good["diffraction"] = good["diffraction"].astype(np.float64)
    report = check(good)
    with pytest.raises(
        ContractError, match=r"diffraction: dtype.*ycoords: present: expected a field, got nothing"
    ) as found:
        report.require_ok("data")
    assert found.value.report is report
    assert '"ok": false' in report.to_json()


@pytest.mark.parametrize("kind", KINDS, ids=KIND_NAMES)
def test_older_names_and_wider_dtypes_are_converted(kind, good, tmp_path):
    old = dict(good, diff3d=good["diffraction"].astype(np.float64), extra=np.zeros(2))
    old["probeGuess"] = np.asfortranarray(old["probeGuess"].astype(np.complex128))
    del old["diffraction"]
    out = convert(kind(tmp_path / "old", old), "ptycho-npz@1", tmp_path / "new.npz")
    assert PTYCHO.check(out, values=True).ok
    with np.load(out) as made:
        assert sorted(made) == sorted(good)
        assert all(np.array_equal(made[name], good[name]) for name in good)


@pytest.mark.parametrize("fault", ["missing", "complex", "short"])
def test_what_cannot_be_converted_is_refused_before_a_byte_is_written(fault, good, tmp_path):
    if fault == "missing":
        del good["xcoords"]
    else:
        good["xcoords"] = good["xcoords"][:7] if fault == "short" else good["xcoords"] + 1j
    with pytest.raises(ContractError, match="xcoords"):
        convert(good, PTYCHO, tmp_path / "new.npz")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="destination that ends in"):
        convert(good, PTYCHO, tmp_path / "new.csv")


class TestCommand:
    def test_a_problem_is_a_line_and_status_1(self, axds, good, tmp_path):
        del good["ycoords"]
        np.savez(tmp_path / "a.npz", **good)
        got = axds("data", "contract", tmp_path / "a.npz")
        assert (got.status, got.out) == (1, f"{tmp_path}/a.npz: ycoords: present: expected a field, got nothing\n")
        assert axds("data", "contract", tmp_path / "a.npz", "--json").json["problems"][0]["field"] == "ycoords"

    def test_a_data_set_that_keeps_its_contract_is_status_0(self, axds, good, tmp_path):
        np.savez(tmp_path / "a.npz", **good)
        assert axds("data", "contract", tmp_path / "a.npz", "--values").status == 0

    def test_a_converted_file_keeps_the_contract(self, axds, good, tmp_path):
        good["diff3d"] = good.pop("diffraction").astype(np.float64)
        np.savez(tmp_path / "a.npz", **good)
        assert axds("data", "contract", tmp_path / "a.npz", "--convert", tmp_path / "b.npz").status == 0
        assert axds("data", "contract", tmp_path / "b.npz").status == 0

    def test_an_unknown_contract_is_one_line(self, refused, good, tmp_path):
        np.savez(tmp_path / "a.npz", **good)
        assert "ptycho-npz@1" in refused("data", "contract", Path(tmp_path / "a.npz"), "--contract", "ptycho")
