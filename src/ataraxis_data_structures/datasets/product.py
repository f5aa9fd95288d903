"""Ptychodus product files: HDF5 with a reconstruction, its metadata, and the raw data that it was made from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import ContractError
from .contract import Problem, Report, fits_dtype
from .conversion import new_hdf5, write_hdf5, write_npz
from .headers import Source, open_source
from .known import PTYCHO_NPZ, PTYCHODUS_PRODUCT

FORMAT_ID = "ptychodus.product.hdf5"
FORMAT_VERSION = "1.0"
BUNDLE_VERSION = "1.0"

_RAW = "raw_data/"
_NOT_IN_FORMAT = ("xcoords_start", "ycoords_start", "Y", "norm_Y_I")  # of raw data; kept beside what the format names


@dataclass
class ExportMeta:
    """What a product file says of a reconstruction; lengths in metres, zeros where nothing is known."""

    name: str = ""
    comments: str = ""
    detector_distance_m: float = 0.0
    probe_energy_eV: float = 0.0  # noqa: N815 eV is the unit
    exposure_time_s: float = 0.0
    probe_photon_count: float = 0.0
    mass_attenuation_m2_kg: float = 0.0
    tomography_angle_deg: float = 0.0
    object_pixel_width_m: float = 5e-8
    object_pixel_height_m: float = 5e-8
    probe_pixel_width_m: float = 1.25e-7
    probe_pixel_height_m: float = 1.25e-7
    object_center_x_m: float = 0.0
    object_center_y_m: float = 0.0
    object_layer_spacing_m: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for axis in ("object_pixel_width_m", "object_pixel_height_m", "probe_pixel_width_m", "probe_pixel_height_m"):
            size = getattr(self, axis)
            if not (size > 0 and np.isfinite(size)):
                raise ValueError(f"expected {axis} above 0, got {size}")


@dataclass
class RawData:
    """A ptychographic scan of N positions in pixels of the object, with its frames and first guesses.

    Args:
        xcoords: [N].
        ycoords: [N].
        xcoords_start: [N], where they differ from those.
        ycoords_start: [N].
        diff3d: Frames [N, H, W], amplitudes.
        probeGuess: Complex [H, W], [I, H, W] or [C, I, H, W].
        scan_index: Integers [N].
        objectGuess: Complex [M, M], or [L, M, M] in layers.
        Y: Patches of the object [N, H, W].
        norm_Y_I: Their normalisation.
        metadata: What JSON can hold.
    """

    xcoords: NDArray[Any]
    ycoords: NDArray[Any]
    xcoords_start: NDArray[Any] | None = None
    ycoords_start: NDArray[Any] | None = None
    diff3d: NDArray[Any] | None = None
    probeGuess: NDArray[Any] | None = None  # noqa: N815 the names of the npz files
    scan_index: NDArray[Any] | None = None
    objectGuess: NDArray[Any] | None = None  # noqa: N815
    Y: NDArray[Any] | None = None
    norm_Y_I: NDArray[Any] | None = None  # noqa: N815
    metadata: dict[str, Any] | None = None

    @classmethod
    def from_npz(cls, path: Path | str) -> Self:
        """Return the raw data of a `ptycho-npz` file, also under its older names; no pickle in it is opened.

        Raises:
            ContractError: Positions, probe or object are missing or damaged.
        """
        with open_source(path) as source:
            _require(PTYCHO_NPZ.check(path), {"xcoords", "ycoords", "probeGuess", "objectGuess"}, path)
            frames = next((name for name in ("diffraction", "diff3d") if _is_array(source, name)), None)
            names = ("xcoords", "ycoords", "probeGuess", "objectGuess", "scan_index", *_NOT_IN_FORMAT)
            fields: dict[str, Any] = {name: source.read(name) for name in names if _is_array(source, name)}
            return cls(**fields, diff3d=source.read(frames) if frames else None)

    def to_npz(self, path: Path | str) -> None:
        """Write a `ptycho-npz` file, whole or not at all."""
        arrays = {name: np.asarray(values) for name, values in vars(self).items() if values is not None}
        arrays.pop("metadata", None)
        if "diff3d" in arrays:
            arrays["diffraction"] = arrays.pop("diff3d")
        write_npz(Path(path), arrays)


def export_product_from_rawdata(
    raw: Any,
    out_path: Path | str,
    meta: ExportMeta | None = None,
    include_raw: bool = True,  # noqa: FBT001, FBT002
) -> None:
    """Write a product file, whole or not at all.

    Positions in metres are pixels times the object's pixel size. `probe_position_indexes` is the scan index where the
    probe has several coherent modes and the scan index names them, else 0.

    Args:
        raw: A RawData, or anything with its attributes.
        out_path: The file, `.h5` or `.hdf5`; one that exists is replaced.
        meta: Metadata and pixel sizes; None: the defaults.
        include_raw: Add the group `/raw_data`, which comes back bit for bit. Its frames are what it is for: raw data
            without them get no group.

    Raises:
        ContractError: The parts do not fit each other, as 7 frames for 20 positions; nothing is written.
        ImportError: h5py (extra `hdf5`) is not installed.
    """
    about = meta or ExportMeta()
    arrays, raw_arrays = _product_arrays(raw, about), _raw_arrays(raw)
    checked = PTYCHODUS_PRODUCT.check(
        arrays | {_RAW + name: values for name, values in raw_arrays.items()}, values=True
    )
    problems = (*checked.problems, *_layer_problems(arrays))
    Report(checked.contract, checked.depth, problems).require_ok("the raw data")
    has_raw = include_raw and "diffraction" in raw_arrays
    if has_raw:
        arrays |= {"@bundle_version": BUNDLE_VERSION, "@contains_raw_data": np.int64(1)}
    with new_hdf5(Path(out_path)) as file:
        write_hdf5(file, arrays)
        if has_raw:
            _write_raw(file, raw_arrays, getattr(raw, "metadata", None))


def import_product_to_rawdata(path: Path | str) -> RawData:
    """Return the raw data of a product file: those of `/raw_data` bit for bit, else pixels from the metres.

    Raises:
        ContractError: Positions, probe, object or pixel sizes are missing, damaged, of different lengths, or elsewhere.
        ValueError: The file is no HDF5.
    """
    needed = {"probe_position_x_m", "probe_position_y_m", "probe_position_indexes", "probe", "object"}
    needed |= {"object@pixel_width_m", "object@pixel_height_m"}
    with open_source(Path(path)) as source:
        report = PTYCHODUS_PRODUCT.check(Path(path))
        needed |= {problem.field for problem in report.problems if problem.field.startswith(_RAW)}
        _require(report, needed, path)
        return _read_product(source, path)


def _read_product(source: Source, path: Path | str) -> RawData:
    fields = {
        "xcoords": _pixels(source, "probe_position_x_m", "object@pixel_width_m", path),
        "ycoords": _pixels(source, "probe_position_y_m", "object@pixel_height_m", path),
        "scan_index": source.read("probe_position_indexes"),
        "probeGuess": source.read("probe"),
        "objectGuess": source.read("object"),
    }
    names = {"diff3d": "diffraction"} | {name: name for name in (*fields, *_NOT_IN_FORMAT)}
    fields |= {name: source.read(_RAW + held) for name, held in names.items() if _is_array(source, _RAW + held)}
    metadata = source.read(_RAW + "_metadata").item() if _is_array(source, _RAW + "_metadata") else None
    return RawData(**fields, metadata=None if metadata is None else json.loads(metadata))


def _pixels(source: Source, positions: str, pixel: str, path: Path | str) -> NDArray[Any]:
    size = float(source.read(pixel))
    if not size > 0:
        raise ContractError(f"{path}: expected {pixel} above 0, got {size}")
    return np.asarray(source.read(positions) / size)


def _is_array(source: Source, name: str) -> bool:
    entry = source.find(name)
    return entry is not None and not entry.fault and entry.dtype != "object"


def _require(report: Report, needed: set[str], path: Path | str) -> None:
    """Raise for what is wrong with the needed fields; an older name and another number type are no hindrance."""
    problems = [
        problem
        for problem in report.problems
        if problem.field in needed
        and problem.rule != "name"
        and not (problem.rule == "dtype" and fits_dtype(problem.got, ("number", "complex")))
    ]
    Report(report.contract, report.depth, tuple(problems)).require_ok(path)


def _product_arrays(raw: Any, meta: ExportMeta) -> dict[str, Any]:
    x, y = np.asarray(raw.xcoords), np.asarray(raw.ycoords)
    arrays: dict[str, Any] = {
        "@name": str(meta.name),
        "@comments": str(meta.comments),
        "@detector_object_distance_m": np.float64(meta.detector_distance_m),
        "@probe_energy_eV": np.float64(meta.probe_energy_eV),
        "@exposure_time_s": np.float64(meta.exposure_time_s),
        "@probe_photon_count": np.float64(meta.probe_photon_count),
        "@mass_attenuation_m2_kg": np.float64(meta.mass_attenuation_m2_kg),
        "@tomography_angle_deg": np.float64(meta.tomography_angle_deg),
        "@format_id": FORMAT_ID,
        "@format_version": FORMAT_VERSION,
        "probe_position_x_m": x.astype(np.float64) * meta.object_pixel_width_m,
        "probe_position_y_m": y.astype(np.float64) * meta.object_pixel_height_m,
        "object_layer_spacing_m": np.asarray(meta.object_layer_spacing_m, np.float64),
        "loss_values": np.zeros(0, np.float64),
        "loss_epochs": np.zeros(0, np.int64),
        "probe@pixel_width_m": np.float64(meta.probe_pixel_width_m),
        "probe@pixel_height_m": np.float64(meta.probe_pixel_height_m),
        "object@center_x_m": np.float64(meta.object_center_x_m),
        "object@center_y_m": np.float64(meta.object_center_y_m),
        "object@pixel_width_m": np.float64(meta.object_pixel_width_m),
        "object@pixel_height_m": np.float64(meta.object_pixel_height_m),
    }
    for name, held in (("probe", "probeGuess"), ("object", "objectGuess")):
        if getattr(raw, held, None) is not None:  # else the check says that it is missing
            values = np.asarray(getattr(raw, held))
            arrays[name] = values if values.dtype.kind in "cO" else values.astype(np.complex64)
    arrays["probe_position_indexes"] = _probe_indexes(raw, arrays.get("probe"), len(x))
    return arrays


def _probe_indexes(raw: Any, probe: NDArray[Any] | None, count: int) -> NDArray[np.int64]:
    """Return which probe each position was seen with; a scan index is a number of a scan and may name none."""
    probes = probe.shape[0] if probe is not None and probe.ndim == 4 else 1
    index = getattr(raw, "scan_index", None)
    if probes > 1 and index is not None:
        values = np.asarray(index)
        if values.dtype.kind in "iu" and values.size and values.min() >= 0 and values.max() < probes:
            return values.astype(np.int64)
    return np.zeros(count, np.int64)


def _raw_arrays(raw: Any) -> dict[str, NDArray[Any]]:
    frames = next(
        (found for name in ("diff3d", "diffraction") if (found := getattr(raw, name, None)) is not None), None
    )
    index = getattr(raw, "scan_index", None)
    scan_index = np.zeros(len(np.asarray(raw.xcoords)), np.int64) if index is None else np.asarray(index)
    if scan_index.dtype.kind in "iu" and scan_index.dtype not in (np.int32, np.int64):
        scan_index = scan_index.astype(np.int64)  # what the format has
    held = {
        "diffraction": frames,
        "xcoords": raw.xcoords,
        "ycoords": raw.ycoords,
        "scan_index": scan_index,
        **{name: getattr(raw, name, None) for name in ("probeGuess", "objectGuess", *_NOT_IN_FORMAT)},
    }
    return {name: np.asarray(values) for name, values in held.items() if values is not None}


def _write_raw(file: Any, arrays: Mapping[str, NDArray[Any]], metadata: object) -> None:
    group = file.create_group("raw_data")
    for name, values in arrays.items():
        root = {"probeGuess": "probe", "objectGuess": "object"}.get(name)
        if root and file[root].dtype == values.dtype:
            group[name] = file[root]  # a hard link: the same data
        else:
            group.create_dataset(name, data=values)
    group["diffraction"].attrs["axis_canonical"] = "NHW"
    group["diffraction"].attrs["original_axis_order"] = "NHW"
    if metadata is not None:
        group["_metadata"] = json.dumps(metadata)


def _layer_problems(arrays: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the spacing of the object's layers: one less than there are layers."""
    layers = arrays["object"].shape[0] if "object" in arrays and arrays["object"].ndim == 3 else 1
    got = list(arrays["object_layer_spacing_m"].shape)
    return [] if got == [layers - 1] else [Problem("object_layer_spacing_m", "shape", f"{layers - 1}", got)]
