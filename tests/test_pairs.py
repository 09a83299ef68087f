"""Sampled pairs and their folding measures."""

import jax
import jax.numpy as jnp
import numpy as np

from recjax import configs, evaluate, pairs, retrievers, scores

RNG = np.random.default_rng(0)
QUERIES, ITEMS = RNG.normal(size=(120, 4)).astype(np.float32), RNG.normal(size=(120, 4)).astype(np.float32)
FIXED = retrievers.Retriever(lambda params, features: params[0][features["query"]], lambda params, data: params[1])
ONES = (np.ones((120, 1), np.float32), np.ones((120, 1), np.float32))


def test_pairs_and_folding_measures(split):
    judge = jax.jit(evaluate.ranker(FIXED, configs.Evaluate(k=(5,)), 6))
    ranking = evaluate.rank(judge, (jnp.asarray(QUERIES), jnp.asarray(ITEMS)), evaluate.prepare(split.test))
    known = split.test.known
    drawn = pairs.draw(split.test, ONES, 64)
    found = pairs.score(drawn, ranking, jax.jit(pairs.scorer(scores.dot)))
    rows, items, some_rows, some_items = drawn.places
    wanted = np.sum(QUERIES[ranking.query[rows]] * ITEMS[items], -1)
    np.testing.assert_allclose(found.observed, wanted, rtol=1e-4, atol=1e-5)
    wanted = QUERIES[ranking.query[some_rows]] @ ITEMS[some_items].T
    np.testing.assert_allclose(found.random, wanted, rtol=1e-4, atol=1e-5)
    met = set(zip(known.interactions.query.tolist(), known.interactions.item.tolist(), strict=True))
    assert {(int(ranking.query[row]), int(item)) for row, item in zip(rows, items, strict=True)} <= met
    assert drawn.population == (len(ranking.query), 120, np.isin(known.interactions.query, ranking.query).sum())
    measured = pairs.measure(drawn, found._replace(observed=found.observed + 3))
    assert measured.refused == {}
    wanted = np.mean(np.maximum(0, found.random / np.mean(found.observed + 3) - 1))
    np.testing.assert_allclose(measured.found["folding_excess"], wanted, rtol=1e-5)
    assert {"random_score_q50", "random_score_q90", "random_score_q99"} < set(measured.found)
    measured = pairs.measure(drawn, found._replace(observed=found.observed * 0 - 1))
    assert "mean score of observed pairs is -1" in measured.refused["folding_excess"]
    assert "observed pairs score" in measured.refused["random_score"]
    assert set(measured.found) == set(measured.error) == {"random_pair_auc", "cross_group_auc", "cross_group_excess"}
    assert measured.found["random_pair_auc"] == np.mean(found.random < -1)


def test_the_pairs_are_the_same_for_every_model(split):
    one, other = pairs.draw(split.test, ONES, 64), pairs.draw(split.test, ONES, 64)
    jax.tree.map(np.testing.assert_array_equal, one, other)
