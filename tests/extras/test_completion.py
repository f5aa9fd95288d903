"""IPython completes the items of a folio as they are now."""

import pytest

from ataraxis_data_structures import DataFolio

pytest.importorskip("IPython")


@pytest.mark.parametrize("use_jedi", [True, False])
def test_items_are_completed_by_attribute_and_by_key(tmp_path, use_jedi):
    from IPython.core.completer import IPCompleter, provisionalcompleter

    folio = DataFolio(tmp_path / "exp").add_data("results", 1).add_data("other", 2).add_data("a/b", 3)
    completer = IPCompleter(namespace={"folio": folio}, use_jedi=use_jedi)

    def completed(text):
        with provisionalcompleter():
            return {one.text.lstrip(".") for one in completer.completions(text, len(text))}

    assert {"results", "other"} <= completed("folio.data.")
    assert completed("folio.data.re") == {"results"}
    assert {"a/b", "other", "results"} <= completed("folio.data['")
    DataFolio(folio.path).add_data("later", 4).delete("other")
    assert {"results", "later"} <= completed("folio.data.")
    assert "other" not in completed("folio.data.")
