"""Models of scikit-learn come back to their writer."""

import pytest

from ataraxis_data_structures import DataFolio, Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return Store(tmp_path / "s", sync="process")


def test_a_scikit_learn_model_predicts_as_before(store):
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.Ridge().fit([[0.0], [1.0]], [0, 1])
    store.add("m", model)
    assert store.info("m").about["framework"] == "sklearn"
    assert store.get("m").predict([[3.0]]) == model.predict([[3.0]])
    folio = DataFolio(store.path).add_sklearn("ridge", model, hyperparameters={"alpha": 1.0})
    assert folio.get_sklearn("ridge").predict([[3.0]]) == model.predict([[3.0]])
    assert "hyperparameters: alpha=1.0" in folio.describe(return_string=True)
