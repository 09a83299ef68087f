"""What is kept of each query is what the run's metrics are means of."""

import numpy as np
import pytest

from recjax import evaluate, queries


@pytest.fixture(scope="module")
def ranking(dataset):
    """Every query gets the next items of the corpus."""
    size = len(dataset.vocabularies["query"])
    ids = (np.arange(size)[:, None] + np.arange(10)) % len(dataset.vocabularies["item"])
    ids[0, 3:] = -1
    metrics = {"recall@5": np.linspace(0, 1, size, dtype=np.float32)}
    return evaluate.Ranking(np.arange(size), ids, metrics, None, None, False)


def test_they_are_the_parts_of_the_means(config, dataset, ranking):
    found = queries.arrays(ranking, dataset, config.evaluate)
    means = evaluate.means(ranking, dataset, config.evaluate)
    for name in ("recall@5", "cross_group_share@5", "cross_group_share@10"):
        np.testing.assert_allclose(found[name].mean(dtype=np.float64), means[name], rtol=1e-6)
    assert found["query"].tolist() == [str(one) for one in dataset.vocabularies["query"]]
    np.testing.assert_array_equal(found["retrieved"], ranking.ids)
    assert not [name for name, array in found.items() if array.dtype == object]


def test_among_candidates_nothing_is_said_of_groups(config, dataset, ranking):
    assert set(queries.arrays(ranking._replace(sampled=True), dataset, config.evaluate)) == {
        "query", "index", "retrieved", "recall@5",
    }  # fmt: skip
