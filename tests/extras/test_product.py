"""Product files: read by h5py as the format says, bit for bit on the way back, refused whole, never half."""

import os
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import ContractError
from ataraxis_data_structures.datasets import check, convert, find_contract
from ataraxis_data_structures.datasets.product import (
    ExportMeta,
    RawData,
    export_product_from_rawdata,
    import_product_to_rawdata,
)
from conftest_cli import axds, refused  # noqa: F401 fixtures
from datasets_vectors import VECTORS
from helpers.crash import chosen, count_steps, kill_at

h5py = pytest.importorskip("h5py")
FORMAT = VECTORS["product"]


def scan(n=20, side=16, **changes):
    random = np.random.default_rng(3)
    fields = {
        "xcoords": random.random(n) * 100 / 3,
        "ycoords": random.random(n) * 100 / 7,
        "diff3d": random.random((n, side, side), np.float32),
        "probeGuess": (random.random((side, side)) + 1j).astype(np.complex64),
        "objectGuess": (random.random((32, 32)) + 1j).astype(np.complex64),
        "scan_index": np.arange(n, dtype=np.int64),
    }
    return RawData(**fields | changes)


def walk(path):
    """Go through a file as the format describes it, with h5py alone."""
    with h5py.File(path) as file:
        assert set(FORMAT["root_attrs"]) <= set(file.attrs)
        assert file.attrs["format_id"] == FORMAT["format_id"]
        assert file.attrs["format_version"] == FORMAT["format_version"]
        assert all(isinstance(file.attrs[name], str) for name in ("name", "comments"))
        for name in ("detector_object_distance_m", "probe_energy_eV", "exposure_time_s"):
            assert file.attrs[name].dtype == np.float64
        assert set(FORMAT["datasets"]) <= set(file)
        assert set(FORMAT["probe_attrs"]) <= set(file["probe"].attrs)
        assert set(FORMAT["object_attrs"]) <= set(file["object"].attrs)
        assert file["probe"].dtype.kind == file["object"].dtype.kind == "c"
        n = len(file["probe_position_indexes"])
        assert file["probe_position_x_m"].shape == file["probe_position_y_m"].shape == (n,)
        assert file["probe_position_x_m"].dtype == np.float64
        assert file["probe_position_indexes"].dtype in (np.int32, np.int64)
        layers = file["object"].shape[0] if file["object"].ndim == 3 else 1
        assert file["object_layer_spacing_m"].shape == (layers - 1,)
        assert file["loss_values"].dtype == np.float64
        assert file["loss_values"].shape == file["loss_epochs"].shape
        probes = file["probe"].shape[0] if file["probe"].ndim == 4 else 1
        assert 0 <= file["probe_position_indexes"][:].min() <= file["probe_position_indexes"][:].max() < probes
        if "raw_data" not in file:
            assert not set(FORMAT["with_raw"]) & set(file.attrs)
            return
        assert {name: file.attrs[name] for name in FORMAT["with_raw"]} == FORMAT["with_raw"]
        assert set(FORMAT["raw_data"]) <= set(file["raw_data"])
        assert file["raw_data/diffraction"].shape[0] == n
        assert dict(file["raw_data/diffraction"].attrs) == FORMAT["diffraction_attrs"]


PROBES = [(16, 16), (2, 16, 16), (3, 2, 16, 16)]


@pytest.mark.parametrize("shape", PROBES, ids=len)
@pytest.mark.parametrize("include_raw", [True, False])
@pytest.mark.parametrize(
    "index", [None, np.arange(20), np.arange(20, dtype=np.uint8) % 3, np.full(20, -1)], ids=range(4)
)
def test_a_file_is_as_the_format_says(shape, include_raw, index, tmp_path):
    raw = scan(probeGuess=np.ones(shape, np.complex64), scan_index=index)
    export_product_from_rawdata(raw, tmp_path / "a.h5", ExportMeta(name="é", comments="c"), include_raw=include_raw)
    walk(tmp_path / "a.h5")
    assert check(tmp_path / "a.h5", values=True).ok
    with h5py.File(tmp_path / "a.h5") as file:
        got = file["probe_position_indexes"][:].tolist()
    assert got == (list(map(int, index)) if len(shape) == 4 and index is not None and index[4] == 1 else [0] * 20)


def test_raw_data_come_back_bit_for_bit(tmp_path):
    raw = scan(
        xcoords=np.array([0.1, -0.0, np.nextafter(1, 2), 5e-324] * 5),
        diff3d=np.full((20, 16, 16), 1 / 3),
        xcoords_start=np.arange(20.0),
        Y=np.ones((20, 16, 16), np.complex64),
        metadata={"nphotons": 1e9, "ü": [1]},
    )
    export_product_from_rawdata(raw, tmp_path / "a.h5", ExportMeta(object_pixel_width_m=3e-8))
    got = import_product_to_rawdata(tmp_path / "a.h5")
    for name, want in vars(raw).items():
        found = getattr(got, name)
        if isinstance(want, np.ndarray):
            assert (found.dtype, found.tobytes()) == (want.dtype, want.tobytes()), name
        else:
            assert found == want, name


def test_guesses_of_another_dtype_come_back_as_they_were(tmp_path):
    raw = scan(probeGuess=np.full((16, 16), 1 / 3, np.complex128), objectGuess=np.full((32, 32), 1 / 3))
    export_product_from_rawdata(raw, tmp_path / "a.h5")
    walk(tmp_path / "a.h5")
    got = import_product_to_rawdata(tmp_path / "a.h5")
    assert got.probeGuess.dtype == np.complex128
    assert got.objectGuess.tobytes() == raw.objectGuess.tobytes()


def test_guesses_of_raw_data_are_links_and_no_copies(tmp_path):
    export_product_from_rawdata(scan(), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["raw_data/probeGuess"] == file["probe"]
        assert file["raw_data/objectGuess"] == file["object"]


def test_without_raw_data_pixels_come_from_metres(tmp_path):
    raw = scan()
    export_product_from_rawdata(raw, tmp_path / "a.h5", include_raw=False)
    got = import_product_to_rawdata(tmp_path / "a.h5")
    np.testing.assert_allclose(got.xcoords, raw.xcoords, rtol=1e-15)
    assert got.diff3d is None


def test_anything_with_the_attributes_is_raw_data(tmp_path):
    held = scan()
    stub = type("Stub", (), {name: getattr(held, name) for name in ("xcoords", "ycoords", "probeGuess", "objectGuess")})
    stub.diff3d = None
    export_product_from_rawdata(stub, tmp_path / "a.h5")
    walk(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"diff3d": np.zeros((7, 16, 16), np.float32)}, "raw_data/diffraction"),
        ({"diff3d": np.zeros((16, 16, 20), np.float32)}, "raw_data/diffraction"),
        ({"diff3d": np.zeros((20, 16), np.float32)}, "raw_data/diffraction"),
        ({"ycoords": np.zeros(7)}, "probe_position_y_m"),
        ({"scan_index": np.zeros(7, np.int64)}, "raw_data/scan_index"),
        ({"scan_index": np.zeros(20)}, "raw_data/scan_index"),
        ({"xcoords": np.full(20, np.nan)}, "probe_position_x_m"),
        ({"objectGuess": None}, "object"),
        ({"probeGuess": None}, "probe"),
        ({"objectGuess": np.zeros((3, 8, 8), np.complex64)}, "object_layer_spacing_m"),
        ({"objectGuess": np.full((8, 8), None)}, "object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
@pytest.mark.parametrize("include_raw", [True, False])
def test_parts_that_do_not_fit_are_refused_before_a_byte_is_written(changes, field, include_raw, tmp_path):
    with pytest.raises(ContractError, match=f"{field}:"):
        export_product_from_rawdata(scan(**changes), tmp_path / "new/a.h5", include_raw=include_raw)
    assert list(tmp_path.iterdir()) == []


def test_layers_and_their_spacing_fit(tmp_path):
    raw = scan(objectGuess=np.zeros((3, 8, 8), np.complex64))
    export_product_from_rawdata(raw, tmp_path / "a.h5", ExportMeta(object_layer_spacing_m=(1e-6, 2e-6)))
    walk(tmp_path / "a.h5")


@pytest.mark.parametrize("size", [0, -1e-8, float("nan"), float("inf")])
def test_a_pixel_without_size_is_refused(size):
    with pytest.raises(ValueError, match="above 0"):
        ExportMeta(object_pixel_width_m=size)


def foreign(path, **changes):
    """Write a minimal file by the format, as another program would."""
    values = {
        "probe_position_indexes": np.zeros(4, np.int32),
        "probe_position_x_m": np.arange(4) * 1e-6,
        "probe_position_y_m": np.arange(4) * 2e-6,
        "probe": np.ones((8, 8), np.complex128),
        "object": np.ones((1, 16, 16), np.complex64),
        "object_layer_spacing_m": np.zeros(0),
        "costs": np.zeros(3, np.float32),
    } | changes
    with h5py.File(path, "w") as file:
        file.attrs.update({"name": np.bytes_("x"), "comments": "", "detector_object_distance_m": np.float32(1)})
        file.attrs.update({"probe_energy_eV": 8000.0, "exposure_time_s": 0.1, "probe_photon_count": 1000})
        for name, value in values.items():
            if value is not None:
                file[name] = value
        for name, attributes in (("probe", FORMAT["probe_attrs"]), ("object", FORMAT["object_attrs"])):
            if isinstance(values[name], np.ndarray):
                file[name].attrs.update(dict.fromkeys(attributes, 5e-7))


def test_a_file_that_another_program_wrote_by_the_format_is_imported(tmp_path):
    foreign(tmp_path / "a.h5")
    got = import_product_to_rawdata(tmp_path / "a.h5")
    np.testing.assert_allclose(got.xcoords, [0, 2, 4, 6])
    np.testing.assert_allclose(got.ycoords, [0, 4, 8, 12])
    assert (got.probeGuess.dtype, got.objectGuess.shape, got.diff3d) == (np.complex128, (1, 16, 16), None)
    assert [problem.to_tuple() for problem in check(tmp_path / "a.h5").problems] == [
        ("loss_values", "name", "loss_values", "costs")
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"object": None}, "object"),
        ({"probe_position_x_m": np.zeros(3)}, "probe_position_y_m"),
        ({"probe": h5py.ExternalLink("other.h5", "/probe")}, "probe"),
        ({"link": h5py.ExternalLink("other.h5", "/"), "probe": h5py.SoftLink("/link/probe")}, "probe"),
        ({"probe": h5py.SoftLink("/probe")}, "probe"),
        ({"probe": h5py.SoftLink("/nowhere")}, "probe"),
        ({"probe_position_x_m": np.array([b"a", b"b", b"c", b"d"])}, "probe_position_x_m"),
        ({"raw_data/xcoords": np.zeros(3)}, "raw_data/xcoords"),
        ({"raw_data/diffraction": np.zeros((3, 2, 2))}, "raw_data/diffraction"),
    ],
    ids=range(9),
)
def test_a_file_that_is_not_by_the_format_is_refused_by_field(changes, field, tmp_path):
    foreign(tmp_path / "other.h5")
    foreign(tmp_path / "a.h5", **changes)
    with pytest.raises(ContractError, match=f"{field}:"):
        import_product_to_rawdata(tmp_path / "a.h5")


def test_data_in_another_file_are_a_problem(tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    foreign(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["probe_position_x_m"], file["probe_position_y_m"]
        file.create_dataset("probe_position_x_m", (4,), "f8", external=[(str(tmp_path / "secret.bin"), 0, 32)])
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "a.h5"), "probe_position_x_m", (4,))
        file.create_virtual_dataset("probe_position_y_m", layout)
    got = {problem.field: problem.got for problem in check(tmp_path / "a.h5").problems}
    assert got["probe_position_x_m"] == got["probe_position_y_m"] == "data in another file"


def test_indexes_that_leave_their_range_are_a_problem_of_values(tmp_path):
    foreign(tmp_path / "a.h5", probe_position_indexes=np.array([0, 1, 5, -1], np.int32), loss_values=np.zeros(3))
    found = [problem.to_tuple() for problem in check(tmp_path / "a.h5", values=True).problems]
    assert found == [("probe_position_indexes", "min", 0, -1), ("probe_position_indexes", "max", 0, 5)]


@pytest.mark.parametrize("before", [None, "old"])
def test_an_export_killed_at_any_step_leaves_no_half(before, tmp_path):
    raw, path = scan(n=4), tmp_path / "a.h5"

    def prepare():
        for held in tmp_path.iterdir():
            held.unlink()
        if before:
            export_product_from_rawdata(scan(n=3), path)

    def program():
        export_product_from_rawdata(raw, path)

    prepare()
    for n in chosen(count_steps(program), short=40):
        prepare()
        run = kill_at(program, n)
        assert run.hit, n
        if not path.exists():
            assert before is None, run.hit
            continue
        got = import_product_to_rawdata(path)
        assert len(got.xcoords) in ((4,) if before is None else (3, 4)), run.hit
    prepare()
    program()
    assert len(import_product_to_rawdata(path).xcoords) == 4


def test_ptycho_data_in_hdf5_keep_their_contract_too(tmp_path):
    held = scan()
    arrays = {name: getattr(held, name) for name in ("objectGuess", "probeGuess", "xcoords", "ycoords")}
    out = convert(arrays | {"diff3d": held.diff3d.astype(np.float64)}, "ptycho-npz@1", tmp_path / "a.h5")
    assert find_contract("ptycho-npz@1").check(out, values=True).ok


class TestCommand:
    @pytest.fixture
    def npz(self, tmp_path):
        scan().to_npz(tmp_path / "in.npz")
        return tmp_path / "in.npz"

    @pytest.mark.parametrize("flag", ["--include-diffraction", "--no-include-diffraction", None])
    def test_the_flags_of_the_converter_are_taken(self, axds, npz, tmp_path, flag):  # noqa: F811
        words = [
            "--input-npz", npz, "--output-product", tmp_path / "new/out.h5", "--name", "Run", "--comments", "c c",
            "--detector-distance-m", "0.5", "--probe-energy-eV", "8000.0", "--exposure-time-s", "0.1",
            "--object-pixel-size-m", "4e-8", "--probe-pixel-size-m", "1e-7",
            "--object-center-x-m", "0.25", "--object-center-y-m", "-0.5", *([flag] if flag else []),
        ]  # fmt: skip
        assert axds("data", "product", *words).status == 0
        walk(tmp_path / "new/out.h5")
        with h5py.File(tmp_path / "new/out.h5") as file:
            assert ("raw_data" in file) == (flag != "--no-include-diffraction")
            assert (file.attrs["name"], file.attrs["comments"], file.attrs["probe_energy_eV"]) == ("Run", "c c", 8000)
            assert dict(file["object"].attrs) == {
                "pixel_width_m": 4e-8, "pixel_height_m": 4e-8, "center_x_m": 0.25, "center_y_m": -0.5,
            }  # fmt: skip
            assert dict(file["probe"].attrs) == {"pixel_width_m": 1e-7, "pixel_height_m": 1e-7}

    def test_a_product_is_read_back(self, axds, npz, tmp_path):  # noqa: F811
        assert axds("data", "product", "--input-npz", npz, "--output-product", tmp_path / "a.h5").status == 0
        words = ["--input-product", tmp_path / "a.h5", "--output-npz", tmp_path / "out.npz", "--json"]
        assert axds("data", "product", *words).json == {"written": str(tmp_path / "out.npz")}
        with np.load(npz) as want, np.load(tmp_path / "out.npz") as got:
            assert sorted(want) == sorted(got)
            assert all(want[name].tobytes() == got[name].tobytes() for name in want)

    def test_what_is_missing_is_one_line(self, refused, tmp_path):  # noqa: F811
        np.savez(tmp_path / "in.npz", xcoords=np.zeros(3))
        said = refused("data", "product", "--input-npz", tmp_path / "in.npz", "--output-product", tmp_path / "a.h5")
        assert "ycoords: present" in said
        assert not Path(tmp_path / "a.h5").exists()

    def test_old_names_in_an_npz_are_taken_and_pickles_are_not(self, axds, tmp_path):  # noqa: F811
        class Planted:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "executed"),)

        held = scan()
        np.savez(
            tmp_path / "in.npz", diff3d=held.diff3d, xcoords=held.xcoords, ycoords=held.ycoords,
            probeGuess=held.probeGuess, objectGuess=held.objectGuess, Y=np.array([Planted()], dtype=object),
        )  # fmt: skip
        words = ["--input-npz", tmp_path / "in.npz", "--output-product", tmp_path / "a.h5"]
        assert axds("data", "product", *words).status == 0
        assert import_product_to_rawdata(tmp_path / "a.h5").diff3d.tobytes() == held.diff3d.tobytes()
        assert not (tmp_path / "executed").exists()
