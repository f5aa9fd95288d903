import copy
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from ataraxis_data_structures import LogPackage

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "log_package.json").read_text())


def package(*payload, source=7, time=1234567890):
    return LogPackage(np.uint8(source), np.uint64(time), np.array(payload, dtype=np.uint8))


def from_vector(vector):
    payload = np.array(vector["payload"], dtype=vector["payload_dtype"])
    return LogPackage(np.uint8(vector["source_id"]), np.uint64(vector["acquisition_time"]), payload)


@pytest.mark.parametrize("vector", [v for v in VECTORS if "file_name" in v["result"]])
def test_data_is_the_published_file_name_and_bytes(vector, tmp_path):
    want = vector["result"]
    name, stored = from_vector(vector).data
    assert name == want["file_name"]
    assert stored.dtype == np.uint8
    assert stored.tobytes().hex() == want["data_hex"]
    np.save(tmp_path / name, stored)
    assert (tmp_path / name).read_bytes().hex() == want["npy_file_hex"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if "raises" in v["result"]])
def test_signed_and_float_payloads_are_type_errors(vector):
    assert vector["result"]["raises"] == "TypeError"
    with pytest.raises(TypeError, match="expected serialized_data of an unsigned or bool type"):
        from_vector(vector).data  # noqa: B018


def test_python_ints_are_accepted():
    assert LogPackage(1, 2, np.zeros(1, np.uint8)).data[0] == "001_00000000000000000002.npy"


def test_a_two_dimensional_payload_is_a_value_error():
    with pytest.raises(ValueError, match="one-dimensional"):
        LogPackage(1, 2, np.zeros((2, 2), np.uint8)).data  # noqa: B018


@pytest.mark.parametrize(("source", "time"), [(256, 0), (-1, 0), (0, 2**64), (0, -1)])
def test_numbers_that_do_not_fit_are_overflow_errors(source, time):
    with pytest.raises(OverflowError):
        LogPackage(source, time, np.zeros(1, np.uint8)).data  # noqa: B018


@pytest.mark.parametrize(("source", "time"), [(1.0, 0), (0, 1.5), ("1", 0), (None, 0)])
def test_numbers_that_are_not_whole_are_type_errors(source, time):
    with pytest.raises(TypeError):
        LogPackage(source, time, np.zeros(1, np.uint8)).data  # noqa: B018


def test_a_strided_payload_is_stored_in_its_own_order():
    assert LogPackage(1, 2, np.arange(10, dtype=np.uint8)[::-3]).data[1][9:].tolist() == [9, 6, 3, 0]


def test_data_is_a_fresh_array():
    payload = np.zeros(2, np.uint8)
    one = LogPackage(1, 2, payload)
    one.data[1][:] = 9
    assert payload.tolist() == [0, 0]
    assert one.data[1][9:].tolist() == [0, 0]


@pytest.mark.parametrize("name", ["source_id", "acquisition_time", "serialized_data", "novel"])
def test_a_package_is_frozen(name):
    one = package(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, name, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(one, name)
    assert not hasattr(one, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_package_survives_pickle(protocol):
    one = package(1, 2, 3)
    assert pickle.loads(pickle.dumps(one, protocol)) == one


def test_a_package_can_be_copied():
    one = package(1, 2, 3)
    assert copy.copy(one) == one
    twin = copy.deepcopy(one)
    assert twin == one
    assert twin.serialized_data is not one.serialized_data


def test_equality_is_that_of_the_fields():
    assert package(1, 2) == package(1, 2)
    assert package(1, 2) != package(1, 3)
    assert package(1, 2) != package(1)
    assert package(1) != package(1, source=8)
    assert package(1) != package(1, time=1)
    assert package(1) != (7, 1234567890, [1])


def test_a_package_is_a_dataclass_for_those_who_ask():
    one = package(1, 2)
    assert dataclasses.is_dataclass(one)
    assert [field.name for field in dataclasses.fields(one)] == ["source_id", "acquisition_time", "serialized_data"]
    assert dataclasses.replace(one, source_id=np.uint8(9)).source_id == 9
    assert repr(package()) == (
        "LogPackage(source_id=np.uint8(7), acquisition_time=np.uint64(1234567890), "
        "serialized_data=array([], dtype=uint8))"
    )
    match one:
        case LogPackage(source, time, _):
            assert (source, time) == (7, 1234567890)


def test_a_package_is_as_unhashable_as_its_array():
    with pytest.raises(TypeError, match="unhashable"):
        hash(package(1))


def test_fields_are_given_by_name_too():
    one = LogPackage(source_id=1, acquisition_time=2, serialized_data=np.zeros(0, np.uint8))
    assert (one.source_id, one.acquisition_time) == (1, 2)
