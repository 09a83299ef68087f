"""Rows that nothing trained, as means of similar ones: by hand, in a ranking, and what is refused."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from recjax import configs, datasets, fields, methods, newcomers, preparation, splits, trained
from recjax.errors import InputError
from recjax.types import Bag, Dataset, HeldOut, Interactions


def interactions(pairs):
    query, item = np.array(pairs).T
    return Interactions(query, item, np.ones(len(query), np.float32), None)


@pytest.fixture
def train():
    """Queries 0, 1, 2 train, 3 and 4 do not; of items 0 to 3 the last does not."""
    words = Bag(np.array([[0, 1], [1, 2], [2, 0], [1, 2]]), np.array([[1, 1], [1, 1], [1, 0], [1, 0]], bool))
    return Dataset(
        interactions([[0, 0], [0, 1], [1, 1], [1, 2], [2, 0]]),
        {"query": np.arange(5), "city": np.array([0, 0, 1, 1, 2]), "age": np.array([0, 1, 1, 1, 2])},
        {"item": np.arange(4), "words": words, "price": np.ones(4)},
        {"query": np.arange(5), "item": np.arange(4), "city": np.arange(3), "age": np.arange(3), "words": np.arange(3)},
        None,
        False,
    )


def held(train, known):
    both = interactions([*np.stack(train.interactions[:2], 1).tolist(), *known])
    return HeldOut(train._replace(interactions=both), interactions([[3, 2], [4, 2]]))


def test_by_features_the_neighbors_share_most(train):
    found = newcomers.find(train, held(train, []), configs.Model(newcomers="features", neighbors=2))
    query, item = found["query"], found["item"]
    assert query.row.tolist() == [3, 4]
    assert query.ids.tolist() == [[2, 1], [0, 1]]  # query 3: city and age as 2, age as 1; query 4: as nobody
    np.testing.assert_allclose(query.weight, [[1 / 1.5, 0.5 / 1.5], [0, 0]], rtol=1e-6)
    assert (item.row.tolist(), item.ids.tolist()) == ([3], [[0, 1]])  # its one word is one of two, in 0 and in 1
    np.testing.assert_allclose(item.weight, [[0.5, 0.5]])


def test_by_history_the_neighbors_met_the_same(train):
    """Query 3 met items 1 and 2, so it is nearest to 1 (cosine 1) and then to 0 (1/2); query 4 met 2, nearest to 1."""
    known = held(train, [[3, 1], [3, 2], [4, 2]])
    found = newcomers.find(train, known, configs.Model(newcomers="history", neighbors=2))
    assert list(found) == ["query"]
    assert found["query"].ids.tolist() == [[1, 0], [1, 0]]
    np.testing.assert_allclose(found["query"].weight, [[1 / 1.5, 0.5 / 1.5], [1, 0]], rtol=1e-6)


def test_a_newcomers_row_is_the_weighted_mean_and_others_stay():
    table = jnp.array([[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]])
    found = newcomers.Neighbors(jnp.array([2]), jnp.array([[0, 1]]), jnp.array([[0.25, 0.75]]))
    tables = newcomers.fill({"query": table, "item": table}, {"query": found})
    assert tables["query"].tolist() == [[1.0, 0.0], [0.0, 2.0], [0.25, 1.5]]
    assert tables["item"].tolist() == table.tolist()


def test_blocks_change_nothing(config, monkeypatch):
    data = dataclasses.replace(config.data, split="cold_queries")
    split = splits.cold_queries(datasets.languages(data), data)
    settings = configs.Model(newcomers="features")
    whole = newcomers.find(split.train, split.test, settings)["query"]
    monkeypatch.setattr(newcomers, "_BLOCK", 5)
    for one, other in zip(whole, newcomers.find(split.train, split.test, settings)["query"], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["gradient", "wals"])
@pytest.mark.parametrize(
    ("split", "by"), [("cold_queries", "features"), ("queries_out", "history"), ("cold_items", "features")]
)
def test_matrix_factorization_judges_newcomers(method, split, by, config):
    """With features that tell of the group, cold queries and items are retrieved better than by chance (1 in 24)."""
    texts = {"data.split": split, "model.name": "mf", "model.newcomers": by, "model.hidden": "256"}
    if method == "wals":
        base = configs.Config(data=config.data, evaluate=config.evaluate)
        texts |= {"train.method": "wals", "train.epochs": "5"}
    else:
        base = dataclasses.replace(config, sampler=configs.Sampler())
        texts |= {"train.epochs": "10", "optimizer.learning_rate": "0.01"}
    model = trained.train(fields.override(base, texts))
    test = model.split.test
    ranking = trained.rank(model, test)
    assert trained.means(ranking, test.known, model.config)["cross_group_share@10"] < 0.5  # by chance .66
    fresh = newcomers.find(model.split.train, test, model.config.model)
    for side, found in fresh.items():
        rows = np.asarray(ranking.items)[found.row] if side == "item" else np.asarray(ranking.queries)
        table = np.asarray(model.params.tables[side])
        wanted = np.einsum("rk,rkd->rd", found.weight, table[np.asarray(found.ids)])
        np.testing.assert_allclose(rows, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"data.split": "cold_queries", "model.newcomers": "history"}, "of 12 new queries nothing is known; type"),
        ({"model.name": "softmax_dnn", "model.newcomers": "history"}, "model.newcomers is 'history', which"),
        ({"model.name": "two_tower", "model.neighbors": "3"}, "model.neighbors is 3, which model.name='two_tower'"),
        ({"model.neighbors": "3"}, "model.neighbors is 3, which model.newcomers='none' does not read"),
        (
            {"model.newcomers": "history", "wals.fold_in": "true", "train.method": "wals"},
            "wals.fold_in and model.newcomers='history' both say",
        ),
    ],
)
def test_what_cannot_be_is_refused(texts, message, config):
    base = configs.Config(data=config.data, model=configs.Model(name="mf"), evaluate=config.evaluate)
    with pytest.raises(InputError, match=message):
        preparation.prepare(fields.override(base, texts))


def test_a_data_set_without_features_is_refused(train):
    bare = train._replace(queries={"query": train.queries["query"]})
    with pytest.raises(InputError, match="the data set has no side features of ids for a new query"):
        newcomers.check(bare, held(bare, []), configs.Model(newcomers="features"))


def test_items_without_features_stay_as_they_are(train):
    """Queries are compared by their features all the same."""
    bare = train._replace(corpus={"item": train.corpus["item"]})
    assert list(newcomers.check(bare, held(bare, []), configs.Model(newcomers="features"))) == ["query"]


def test_a_start_that_is_judged_on_nothing_new_has_no_newcomers(config, split):
    settings = dataclasses.replace(config.model, name="mf", newcomers="features", hidden=(256,))
    start = methods.gradient(dataclasses.replace(config, model=settings), split.train)
    assert start.serving(split.test) == {}
