"""Blocked retrieval equals sorting all scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import retrieval, scores
from recjax.errors import InputError

RNG = np.random.default_rng(0)
QUERIES = jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)
ITEMS = jnp.asarray(RNG.normal(size=(23, 3)), jnp.float32)
EXCLUDE = jnp.array([[0, 22, 5], [-1, -1, -1], [7, 7, 23], [99, 1, -5]])


def by_sorting(score, k, exclude):
    values = np.array(score(QUERIES, ITEMS))
    for row, ids in enumerate(np.asarray(exclude)):
        values[row, [one for one in ids if 0 <= one < len(ITEMS)]] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(values, order, 1), order


@pytest.mark.parametrize("score", [scores.dot, scores.cosine])
@pytest.mark.parametrize("block", [1, 4, 7, 23, 1000])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_equals_sorting_whatever_the_block(score, block, k):
    found = jax.jit(lambda: retrieval.top_k(QUERIES, ITEMS, k, exclude=EXCLUDE, score=score, block=block))()
    values, order = by_sorting(score, k, EXCLUDE)
    np.testing.assert_array_equal(found[1], order)
    np.testing.assert_allclose(found[0], values, rtol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_a_query_may_be_kept_to_its_group(block):
    """The same as excluding the other groups' items; a group without items has an empty list."""
    own, group = jnp.array([0, 2, 1, 5]), jnp.arange(23) % 3
    excluded = jnp.where(own[:, None] == group, -1, jnp.arange(23))
    wanted = retrieval.top_k(QUERIES, ITEMS, 5, exclude=jnp.concatenate([EXCLUDE, excluded], axis=1), block=block)
    found = retrieval.top_k(QUERIES, ITEMS, 5, exclude=EXCLUDE, groups=(own, group), block=block)
    np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_array_equal(found[0], wanted[0])
    assert found[1][3].tolist() == [-1] * 5


@pytest.mark.parametrize("block", [2, 5, 100])
def test_ties_come_in_the_order_of_ids(block):
    _, ids = retrieval.top_k(jnp.ones((1, 1)), jnp.array([[1.0], [2.0], [1.0], [2.0], [1.0]]), 4, block=block)
    assert ids.tolist() == [[1, 3, 0, 2]]


@pytest.mark.parametrize("block", [2, 100])
def test_where_too_few_items_are_left_the_rest_is_nothing(block):
    found, ids = retrieval.top_k(
        jnp.ones((1, 1)), jnp.array([[1.0], [2.0], [3.0]]), 3, exclude=jnp.array([[2, 0]]), block=block
    )
    assert ids.tolist() == [[1, -1, -1]]
    assert found.tolist() == [[2.0, -np.inf, -np.inf]]


@pytest.mark.parametrize("k", [0, 24])
def test_a_k_outside_the_corpus_is_refused(k):
    with pytest.raises(InputError, match=rf"k = {k} .* corpus of 23; wanted 1 <= k <= 23"):
        retrieval.top_k(QUERIES, ITEMS, k)


def test_memory_follows_the_block_and_not_the_corpus():
    items = jax.ShapeDtypeStruct((1_000_000, 3), jnp.float32)
    call = jax.jit(lambda queries, items: retrieval.top_k(queries, items, 5, block=64))
    temporaries = call.lower(QUERIES, items).compile().memory_analysis().temp_size_in_bytes
    assert temporaries < 100_000  # the items take 12 MB, their scores for four queries 16 MB
