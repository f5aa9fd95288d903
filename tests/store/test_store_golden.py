"""Bytes that stores hold: what was once written is read forever."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_128_hexdigest

from ataraxis_data_structures import Store, StoreError
from ataraxis_data_structures.store import jsontags, names, settings
from ataraxis_data_structures.store.ledger import lines as ledger

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "store.json").read_text())


def evaluated(text):
    return eval(text, {"nan": float("nan"), "inf": float("inf")})


@pytest.mark.parametrize("row", GOLDEN["ledger"], ids=lambda row: row["record"]["ops"][0]["op"])
def test_a_record_is_this_line_and_back(row):
    assert ledger.line_of(row["record"]) == row["line"].encode()
    assert ledger.record_of(row["line"].encode()) == row["record"]


@pytest.mark.parametrize("row", GOLDEN["ledger_damaged"], ids=lambda row: row["why"])
def test_a_damaged_line_is_no_record(row):
    assert ledger.record_of(row["line"].encode()) is None


def test_the_settings_are_this_text():
    text = GOLDEN["store_json"]
    record = json.loads(text)
    made = settings.Settings(record["uuid"], record["created_us"], tuple(record["write_once"]))
    assert settings.text_of(made) == text


def test_a_new_store_has_settings_of_this_form(tmp_path):
    Store(tmp_path)
    text = (tmp_path / ".axds" / "store.json").read_text()
    record, want = json.loads(text), json.loads(GOLDEN["store_json"])
    assert record.keys() == want.keys()
    assert {**record, "uuid": "", "created_us": 0} == {**want, "uuid": "", "created_us": 0}
    assert text == json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n"


@pytest.mark.parametrize("row", GOLDEN["payload"], ids=lambda row: row["what"])
def test_a_payload_has_these_bytes_and_this_hash(row, tmp_path):
    data = base64.b64decode(row.get("base64", ""))
    assert (len(data), xxh3_128_hexdigest(data)) == (row["bytes"], row["hash"])
    values = {
        "np.arange(6.0).reshape(2,3) as .npy": np.arange(6.0).reshape(2, 3),
        "empty file": tmp_path / "empty.bin",
        "json true": True,
    }
    (tmp_path / "empty.bin").touch()
    store = Store(tmp_path / "s")
    store.add("a", values[row["what"]])
    info = store.info("a")
    assert (info.size_bytes, info.hash) == (row["bytes"], row["hash"])
    assert (tmp_path / "s" / ".axds" / "payloads" / info.file).read_bytes() == info.path.read_bytes() == data


@pytest.mark.parametrize("row", GOLDEN["json_tags"], ids=lambda row: row["python"])
def test_a_value_is_this_json_and_back(row):
    value = evaluated(row["python"])
    assert jsontags.dumps(value) == row["json"]
    back = jsontags.loads(row["json"])
    assert repr(back) == repr(value)
    assert type(back) is type(value)


@pytest.mark.parametrize("row", GOLDEN["names"], ids=lambda row: row["name"][:20])
def test_a_name_is_taken_or_refused(row):
    if row["ok"]:
        assert names.checked(row["name"]) == row["name"]
    else:
        with pytest.raises(StoreError):
            names.checked(row["name"])


@pytest.mark.parametrize("dtype", ["<f8", "|S3", "<U2", "<M8[ns]", "?", [("a", "<i4"), ("b", "<f8", (2, 3))]])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5), (4, 0, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_the_file_that_numpy_writes(dtype, shape, order, tmp_path):
    array = np.zeros(shape, dtype=np.dtype(dtype), order=order)
    want = io.BytesIO()
    np.lib.format.write_array(want, array, version=(1, 0))
    store = Store(tmp_path)
    store.add("a", array)
    assert (tmp_path / "a.npy").read_bytes() == want.getvalue()
    for got in (store.get("a"), store.open("a")):
        assert (got.dtype, got.shape) == (array.dtype, array.shape)
        assert got.tobytes() == array.tobytes()
