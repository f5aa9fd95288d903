"""The contracts that come with the library, and how one is found."""

import difflib
from typing import Any

from .contract import Contract, Field, Report, Sizes

_COMPLEX = ("complex64", "complex128")
_INDEX = ("int32", "int64")


def _last_probe(sizes: Sizes) -> int:
    """Return the greatest index of a probe: OPR weights name K of them, else each coherent mode is one."""
    return sizes.get("k", sizes.get("c", 1)) - 1


PTYCHO_NPZ = Contract(
    "ptycho-npz@1",
    {
        "diffraction": Field("n h w", "float32", min=0, finite=True, aliases=("diff3d",)),
        "objectGuess": Field("m m", "complex64", finite=True),
        "probeGuess": Field("h w", "complex64", finite=True),
        "xcoords": Field("n", "float64", finite=True),
        "ycoords": Field("n", "float64", finite=True),
        "Y": Field("n h w", "complex64", optional=True, finite=True),
        "scan_index": Field("n", "integer", optional=True),
    },
)

PTYCHODUS_PRODUCT = Contract(
    "ptychodus-product@1.0",
    {
        "@name": Field("", "str"),
        "@comments": Field("", "str"),
        "@detector_object_distance_m": Field("", "float", finite=True),
        "@probe_energy_eV": Field("", "float", finite=True),
        "@exposure_time_s": Field("", "float", finite=True),
        "@probe_photon_count": Field("", "number", optional=True),
        "@mass_attenuation_m2_kg": Field("", "number", optional=True),
        "@tomography_angle_deg": Field("", "number", optional=True),
        "probe_position_x_m": Field("n", "float", finite=True),
        "probe_position_y_m": Field("n", "float", finite=True),
        "probe_position_indexes": Field("n", _INDEX, min=0, max=_last_probe),
        "probe": Field("h w | i h w | c i h w", _COMPLEX),
        "probe@pixel_width_m": Field("", "float", finite=True),
        "probe@pixel_height_m": Field("", "float", finite=True),
        "probe@opr_weights": Field("k c", "float", optional=True),
        "object": Field("y x | l y x", _COMPLEX),
        "object@center_x_m": Field("", "float", finite=True),
        "object@center_y_m": Field("", "float", finite=True),
        "object@pixel_width_m": Field("", "float", finite=True),
        "object@pixel_height_m": Field("", "float", finite=True),
        "object_layer_spacing_m": Field("s", "float", finite=True),
        "loss_values": Field("e", "float", aliases=("costs",)),
        "loss_epochs": Field("e", "integer", optional=True),
        "raw_data/diffraction": Field("n a b", "number", optional=True),
        "raw_data/xcoords": Field("n", "float", optional=True),
        "raw_data/ycoords": Field("n", "float", optional=True),
        "raw_data/scan_index": Field("n", "integer", optional=True),
    },
)

CONTRACTS = {contract.name: contract for contract in (PTYCHO_NPZ, PTYCHODUS_PRODUCT)}


def find_contract(name: str) -> Contract:
    """Return a contract that comes with the library.

    Raises:
        KeyError: None is called so; names the near ones.
    """
    if name not in CONTRACTS:
        near = difflib.get_close_matches(name, CONTRACTS) or list(CONTRACTS)
        raise KeyError(f"expected the name of a contract ({', '.join(near)}), got {name!r}")
    return CONTRACTS[name]


def default_contract(source: Any) -> str:
    """Return which contract a data set is held against if none is named."""
    return "ptychodus-product@1.0" if str(source).lower().endswith((".h5", ".hdf5")) else "ptycho-npz@1"


def check(source: Any, contract: Contract | str | None = None, *, values: bool = False) -> Report:
    """Return all problems of a data set under a contract; see `Contract.check`.

    Args:
        source: A path or URL of an npz archive or HDF5 file, a folder of `.npy` files, a mapping of arrays.
        contract: A contract, or the name of one that comes with the library; None is `ptychodus-product@1.0` for
            `.h5` and `.hdf5`, and `ptycho-npz@1` for anything else.
        values: Read the data too.
    """
    contract = contract or default_contract(source)
    known = find_contract(contract) if isinstance(contract, str) else contract
    return known.check(source, values=values)
