"""The mask of what a query met equals set membership, whatever the lists, the candidates and what was asked before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import known
from recjax.types import Batch, Candidates, Data, Interactions, Sampler

ITEMS = 3000


def lists(lengths, seed=0):
    """Of each query, drawn with repeats."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, ITEMS, length) for length in lengths]


def told(met):
    """As data of training."""
    query = np.repeat(np.arange(len(met)), [len(one) for one in met])
    item = jnp.asarray(np.concatenate(met), jnp.int32)
    offsets = jnp.asarray(np.concatenate([[0], np.cumsum([len(one) for one in met])]), jnp.int32)
    interactions = Interactions(jnp.asarray(query), item, jnp.ones(len(item)), None)
    return Data(interactions, offsets, jnp.zeros((), jnp.int32), {}, {}, jnp.full(ITEMS, 1 / ITEMS))


def wanted(met, query, ids):
    return np.array(
        [
            np.isin(own, met[one])
            for one, own in zip(query, np.broadcast_to(ids, (len(query), *ids.shape[-1:])), strict=False)
        ]
    )


LENGTHS = {
    "one": [1],
    "few": [0, 3, 1, 0, 8, 9, 7, 16],
    "some long": [0, 2000, 1, 0, 500, *[17] * 60],
    "more than a chunk": [*[700] * 40],
}


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_contains_is_membership(lengths, rows):
    met, rng = lists(lengths), np.random.default_rng(1)
    asked = known.of(told(met))
    contains, hits = jax.jit(known.contains), 0
    for count in (500, 7, 1, 64):  # what earlier calls wrote must not matter
        query, ids = rng.integers(0, len(met), rows), rng.integers(0, ITEMS, count)
        ids[::2] = rng.choice(np.concatenate(met), len(ids[::2]))
        ids[-count // 3 :] = ids[0]  # an id many times
        found, asked = contains(asked, jnp.asarray(query), jnp.asarray(ids, jnp.int32))
        np.testing.assert_array_equal(found, wanted(met, query, ids))
        hits += np.asarray(found).sum()
    assert hits > 0 or rows == 1


def test_a_mask_of_each_rows_own_candidates_and_of_further_samples():
    met, rng = lists([0, 3, 1, 400, 12]), np.random.default_rng(1)
    query, own, shared = rng.integers(0, 5, 9), rng.integers(0, ITEMS, (9, 200)), rng.integers(0, ITEMS, 300)
    given = jnp.asarray(rng.random((9, 200)) < 0.8)
    further = Candidates(jnp.asarray(shared), jnp.zeros(()), jnp.ones((9, 300), bool), jnp.zeros((9, 1)))
    first = Candidates(jnp.asarray(own), jnp.zeros(()), given, jnp.zeros((9, 1)), more=(further,))
    plain = Sampler(lambda data, params: (), lambda key, state, batch: (first, state))
    masked = known.masked(plain)
    batch = Batch({"query": jnp.asarray(query)}, jnp.zeros((9, 1), jnp.int32), jnp.ones((9, 1)), jnp.ones(9))
    found, _ = jax.jit(masked.sample)(jax.random.key(0), masked.init(told(met), None), batch)
    np.testing.assert_array_equal(found.where, np.asarray(given) & ~wanted(met, query, own))
    np.testing.assert_array_equal(found.more[0].where, ~wanted(met, query, shared))
    assert wanted(met, query, own).any()
