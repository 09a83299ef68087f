"""The three setups: what they read, what they do not, and what ties them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import batches, configs, embed, fields, models
from recjax.errors import InputError

SETUPS = fields.members(models)
KEY = jax.random.key(0)


def build(name, dataset, **settings):
    if name != "mf":
        settings |= {"hidden": (12,)}
    return SETUPS[name](configs.Model(name=name, dimension=8, history=6, **settings), dataset)


def some(data, split):
    batch = batches.draw(jax.random.key(1), data, 10, positives=1, length=6)
    return batch.features, jax.tree.map(lambda leaf: leaf[:7], data.corpus)


def test_the_table_is_complete():
    assert set(SETUPS) == {"mf", "softmax_dnn", "two_tower"}


@pytest.mark.parametrize("name", SETUPS)
def test_embeddings_have_the_dimension_and_the_corpus_its_order(name, data, split):
    model = build(name, split.train)
    params = embed.init(KEY, model)
    features, items = some(data, split)
    assert embed.queries(None, model, params, features).shape == (10, 8)
    whole = embed.corpus(model, params, data.corpus)
    np.testing.assert_allclose(embed.items(None, model, params, items), whole[:7], rtol=1e-5, atol=1e-7)
    for block in (7, 50, 1000):
        np.testing.assert_allclose(embed.corpus(model, params, data.corpus, block), whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", SETUPS)
def test_a_tower_declares_every_row_that_it_reads(name, data, split):
    """Rows that were not declared may hold anything."""
    model = build(name, split.train)
    params = embed.init(KEY, model)
    features, _ = some(data, split)
    declared = jax.tree.map(np.asarray, dict(model.query.ids(features)))
    poisoned = {}
    for table, values in params.tables.items():
        read = {int(one) for leaf in jax.tree.leaves(declared.get(table, {})) for one in leaf.reshape(-1)}
        keep = np.isin(np.arange(len(values)), list(read))
        poisoned[table] = jnp.where(keep[:, None], values, jnp.nan)
    found = embed.queries(None, model, params._replace(tables=poisoned), features)
    np.testing.assert_array_equal(found, embed.queries(None, model, params, features))


def test_a_new_item_is_told_apart_by_its_features(data, split):
    model = build("two_tower", split.train)
    params = embed.init(KEY, model)
    two = jax.tree.map(lambda leaf: leaf[:2], data.corpus) | {
        "item": jnp.array([-1, 999]),
        "language": jnp.array([0, 2]),
    }
    first, second = embed.items(None, model, params, two)
    assert np.all(np.isfinite(first))
    assert not np.allclose(first, second)


@pytest.mark.parametrize("tied", [True, False])
def test_tied_tables_are_one(tied, split):
    model = build("softmax_dnn", split.train, tied=tied)
    assert ("history" in model.specs) == (not tied)


def test_side_vocabularies_beyond_the_buckets_are_hashed(split):
    model = build("two_tower", split.train, buckets=20, query_features=("all",))
    assert {name: spec.buckets for name, spec in model.specs.items()} == {
        "item": 0, "query": 0, "country": 0, "age": 0, "device": 0, "language": 0, "topics": 0, "publisher": 20,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "read"),
    [
        (("history",), {"history"}),
        (("side",), {"country", "age", "device"}),
        (("history", "query", "since_last"), {"history", "query", "since_last"}),
        (("all",), {"history", "query", "since_last", "example_age", "country", "age", "device"}),
        (("history_topics",), {"history_topics"}),
        (("history_side",), {"history_language", "history_topics", "history_publisher"}),
        (("age", "side", "age"), {"country", "age", "device"}),
    ],
)
def test_the_query_tower_reads_the_chosen_features_and_no_other(chosen, read, data, split):
    model = build("softmax_dnn", split.train, query_features=chosen)
    params = embed.init(KEY, model)
    features, _ = some(data, split)
    found = embed.queries(None, model, params, {name: features[name] for name in read})
    assert found.shape == (10, 8)
    for name in read:
        with pytest.raises(KeyError, match=name):
            embed.queries(None, model, params, {one: features[one] for one in read - {name}})


def test_a_feature_of_the_history_shares_its_table_with_the_items(split):
    model = build("two_tower", split.train, query_features=("history_topics",), item_features=("topics",))
    assert set(model.specs) == {"item", "topics"}


@pytest.mark.parametrize("side", ["query", "item"])
def test_an_unknown_feature_is_refused_with_the_nearest(side, split):
    with pytest.raises(InputError, match=rf"unknown feature in model\.{side}_features 'cuontry'.*Valid: .*side"):
        build("two_tower", split.train, **{f"{side}_features": ("cuontry",)})


def test_no_features_are_refused(split):
    with pytest.raises(InputError, match=r"model.query_features is empty; type for example --config"):
        build("softmax_dnn", split.train, query_features=())


def test_without_times_their_features_are_unknown(timeless):
    with pytest.raises(InputError, match=r"unknown feature in model\.query_features 'since_last'"):
        build("softmax_dnn", timeless.train, query_features=("since_last",))


def test_an_unknown_activation_is_refused(split):
    with pytest.raises(InputError, match="unknown activation 'rleu'; did you mean 'relu'"):
        build("softmax_dnn", split.train, activation="rleu")


@pytest.mark.parametrize("normalization", ["none", "l2", "layer"])
def test_the_output_is_normalised_as_asked(normalization, data, split):
    model = build("softmax_dnn", split.train, normalization=normalization)
    found = np.asarray(embed.queries(None, model, embed.init(KEY, model), some(data, split)[0]))
    norms, means = np.linalg.norm(found, axis=-1), found.mean(-1)
    assert np.allclose(norms, 1.0, atol=1e-5) == (normalization == "l2")
    assert np.allclose(means, 0.0, atol=1e-5) == (normalization == "layer")


def test_a_zero_output_of_unit_length_has_finite_gradients(data, split):
    model = build("softmax_dnn", split.train, normalization="l2", query_features=("history",))
    params = embed.init(KEY, model)
    features = some(data, split)[0]
    features = features | {"history": features["history"]._replace(where=jnp.zeros((10, 6), bool))}
    value, gradient = jax.value_and_grad(lambda params: embed.queries(None, model, params, features).sum())(params)
    assert value == 0.0
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_dropout_is_random_in_training_alone(data, split):
    model = build("softmax_dnn", split.train, dropout=0.5)
    params, features = embed.init(KEY, model), some(data, split)[0]
    one, same, other = (embed.queries(jax.random.key(seed), model, params, features) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    plain = build("softmax_dnn", split.train)
    np.testing.assert_array_equal(
        embed.queries(None, model, params, features), embed.queries(None, plain, params, features)
    )


def test_activations_keep_the_shape():
    for name in models._ACTIVATIONS:
        assert models._ACTIVATIONS[name](jnp.ones(2)).shape == (2,)
