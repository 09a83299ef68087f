"""Sampled pairs and their folding measures."""

import jax
import jax.numpy as jnp
import numpy as np

from recjax import configs, evaluate, pairs, scores

RNG = np.random.default_rng(0)
QUERIES, ITEMS = RNG.normal(size=(120, 4)).astype(np.float32), RNG.normal(size=(120, 4)).astype(np.float32)
FIXED = evaluate.Retriever(lambda params, features: params[0][features["query"]], lambda params, data: params[1])


def test_pairs_and_folding_measures(split):
    judge = jax.jit(evaluate.ranker(FIXED, configs.Evaluate(k=(5,), batch=50), 6))
    ranking = evaluate.rank(judge, (jnp.asarray(QUERIES), jnp.asarray(ITEMS)), evaluate.prepare(split.test, 50))
    known = split.test.known
    sampled = pairs.sample(ranking, known, scores.dot, 64)
    rows, items = sampled.observed_pairs
    np.testing.assert_allclose(
        sampled.observed, np.sum(QUERIES[ranking.query[rows]] * ITEMS[items], -1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        sampled.random, QUERIES[ranking.query[sampled.queries]] @ ITEMS[sampled.items].T, rtol=1e-4, atol=1e-5
    )
    met = set(zip(known.interactions.query.tolist(), known.interactions.item.tolist(), strict=True))
    assert {(int(ranking.query[row]), int(item)) for row, item in zip(rows, items, strict=True)} <= met
    factors = (np.ones((120, 1), np.float32), np.ones((120, 1), np.float32))
    found, refused = pairs.measure(sampled._replace(observed=sampled.observed + 3), ranking, known, factors)
    assert refused == {}
    wanted = np.mean(np.maximum(0, sampled.random / np.mean(sampled.observed + 3) - 1))
    np.testing.assert_allclose(found["folding_excess"], wanted, rtol=1e-6)
    assert {"random_score_q50", "random_score_q90", "random_score_q99"} < set(found)
    found, refused = pairs.measure(sampled._replace(observed=sampled.observed * 0 - 1), ranking, known, factors)
    assert "folding_excess" not in found
    assert "mean score of observed pairs is -1" in refused["folding_excess"]
    assert "observed pairs score" in refused["random_score"]
    assert set(found) == {"random_pair_auc", "cross_group_auc"}
    assert found["random_pair_auc"] == np.mean(sampled.random < -1)
