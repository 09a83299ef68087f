"""Every metric against its definition, item by item in plain Python."""

import jax.numpy as jnp
import numpy as np
import pytest

from recjax import fields, metrics

FAMILY = fields.members(metrics)
HITS = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
RELEVANT = np.array([3, 2, 3, 9, 1])


def log2(x):
    return np.log(x) / np.log(2)


def plain(name, hits, relevant):
    k, found = len(hits), [rank for rank, hit in enumerate(hits, 1) if hit]
    ideal = sum(1 / log2(1 + rank) for rank in range(1, min(k, relevant) + 1))
    return {
        "recall": len(found) / relevant,
        "recall_capped": len(found) / min(k, relevant),
        "precision": len(found) / k,
        "hit_rate": float(bool(found)),
        "ndcg": sum(1 / log2(1 + rank) for rank in found) / ideal,
        "mrr": 1 / found[0] if found else 0.0,
        "map": sum((number + 1) / rank for number, rank in enumerate(found)) / min(k, relevant),
    }[name]


@pytest.mark.parametrize("name", FAMILY)
def test_equals_its_definition(name):
    found = FAMILY[name](jnp.asarray(HITS), jnp.asarray(RELEVANT))
    np.testing.assert_allclose(found, [plain(name, *row) for row in zip(HITS, RELEVANT, strict=True)], rtol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_a_query_without_relevant_items_gives_0(name):
    assert FAMILY[name](jnp.zeros((1, 4), bool), jnp.zeros(1, jnp.int32)).tolist() == [0.0]


@pytest.mark.parametrize("name", [name for name in FAMILY if name not in ("recall", "precision")])
@pytest.mark.parametrize("relevant", [1, 4, 9])
def test_a_perfect_list_has_1(name, relevant):
    hits = jnp.arange(4)[None] < relevant
    np.testing.assert_allclose(FAMILY[name](hits, jnp.array([relevant])), [1.0], rtol=1e-6)
