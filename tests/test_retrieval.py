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
EXCLUDE = [(0, 0), (0, 22), (0, 5), (2, 7), (2, 7), (3, 1)]  # rows and items


def excluded(pairs, items=23, **sizes):
    return retrieval.excluded(*np.array(pairs, int).reshape(-1, 2).T, items, **sizes)


def by_sorting(score, k, exclude):
    values = np.array(score(QUERIES, ITEMS))
    values[tuple(np.array(exclude).T)] = -np.inf
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(values, order, 1), order


@pytest.mark.parametrize("score", [scores.dot, scores.cosine])
@pytest.mark.parametrize("block", [1, 4, 7, 23, 1000])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_equals_sorting_whatever_the_block(score, block, k):
    found = jax.jit(
        lambda: retrieval.top_k(QUERIES, ITEMS, k, exclude=excluded(EXCLUDE, block=block), score=score, block=block)
    )()
    values, order = by_sorting(score, k, EXCLUDE)
    np.testing.assert_array_equal(found[1], order)
    np.testing.assert_allclose(found[0], values, rtol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_a_query_may_be_kept_to_its_group(block):
    """The same as excluding the other groups' items; a group without items has an empty list."""
    own, group = jnp.array([0, 2, 1, 5]), jnp.arange(23) % 3
    others = [tuple(pair) for pair in np.argwhere(own[:, None] != group)]
    wanted = retrieval.top_k(QUERIES, ITEMS, 5, exclude=excluded(EXCLUDE + others, block=block), block=block)
    met = excluded(EXCLUDE, block=block)
    found = retrieval.top_k(QUERIES, ITEMS, 5, exclude=met, groups=(own, group), block=block)
    np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_array_equal(found[0], wanted[0])
    assert found[1][3].tolist() == [-1] * 5


@pytest.mark.parametrize("block", [2, 5, 100])
def test_ties_come_in_the_order_of_ids(block):
    _, ids = retrieval.top_k(jnp.ones((1, 1)), jnp.array([[1.0], [2.0], [1.0], [2.0], [1.0]]), 4, block=block)
    assert ids.tolist() == [[1, 3, 0, 2]]


@pytest.mark.parametrize("block", [2, 100])
def test_where_too_few_items_are_left_the_rest_is_nothing(block):
    met = excluded([(0, 2), (0, 0)], 3, block=block)
    found, ids = retrieval.top_k(jnp.ones((1, 1)), jnp.array([[1.0], [2.0], [3.0]]), 3, exclude=met, block=block)
    assert ids.tolist() == [[1, -1, -1]]
    assert found.tolist() == [[2.0, -np.inf, -np.inf]]


@pytest.mark.parametrize("slice_", [1, 3, 100])
def test_pairs_are_struck_out_slice_by_slice(slice_, monkeypatch):
    """Of two tiles of two rows each, in blocks of five items: the second has the last two rows."""
    monkeypatch.setattr(retrieval, "SLICE", slice_)
    met = excluded(EXCLUDE, rows=4, tile=2, block=5)
    assert met.start.tolist() == [[0, 1, 2, 2, 2, 3], [3, 4, 6, 6, 6, 6]]
    for tile in (0, 1):
        rows = slice(2 * tile, 2 * tile + 2)
        own = met._replace(start=met.start[tile])
        found = retrieval.top_k(QUERIES[rows], ITEMS, 20, exclude=own, block=5)
        np.testing.assert_array_equal(found[1], by_sorting(scores.dot, 20, EXCLUDE)[1][rows])


@pytest.mark.parametrize("columns", [70, 303, 16 * 20])
@pytest.mark.parametrize("k", [1, 2, 9])
@pytest.mark.parametrize("different", [3, 10**6])
def test_the_best_of_chunks_are_the_best(columns, k, different):
    """With three different values nearly all are ties, which come in the order of the columns."""
    found = jnp.asarray(np.random.default_rng(columns).integers(0, different, (8, columns)), jnp.float32)
    few, column = retrieval._best_chunks(found, k)
    assert few.shape[1] <= max(columns, (k + 1) * retrieval.CHUNK)
    np.testing.assert_array_equal(np.diff(column, axis=1) > 0, True)
    values, place = jax.lax.top_k(few, k)
    wanted = jax.lax.top_k(found, k)
    np.testing.assert_array_equal(values, wanted[0])
    np.testing.assert_array_equal(jnp.take_along_axis(column, place, axis=1), wanted[1])


def test_a_list_of_other_blocks_is_refused():
    with pytest.raises(InputError, match="exclude has 5 blocks; wanted 1: give both the same block"):
        retrieval.top_k(QUERIES, ITEMS, 5, exclude=excluded(EXCLUDE, block=5))
    with pytest.raises(InputError, match="excluded pairs of 1 rows and 1 items; wanted items from 0 to 22"):
        excluded([(0, 23)])


@pytest.mark.parametrize("k", [0, 24])
def test_a_k_outside_the_corpus_is_refused(k):
    with pytest.raises(InputError, match=rf"k = {k} .* corpus of 23; wanted 1 <= k <= 23"):
        retrieval.top_k(QUERIES, ITEMS, k)


def test_memory_follows_the_block_and_not_the_corpus():
    items = jax.ShapeDtypeStruct((1_000_000, 3), jnp.float32)
    call = jax.jit(lambda queries, items: retrieval.top_k(queries, items, 5, block=64))
    temporaries = call.lower(QUERIES, items).compile().memory_analysis().temp_size_in_bytes
    assert temporaries < 100_000  # the items take 12 MB, their scores for four queries 16 MB
