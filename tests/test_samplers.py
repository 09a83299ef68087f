"""Every sampler goes through every property; what is drawn is what log_q says.

Statistical tests use fixed seeds. Their bounds are five standard errors, so that for another seed one comparison fails
with a probability below 1e-6 where the normal approximation holds.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import batches, configs, fields, known, samplers
from recjax.types import Batch, Interactions

FAMILY = fields.members(samplers)
SAMPLED = ["uniform", "popularity", "log_uniform", "in_batch", "mixed"]
SETTINGS = configs.Sampler(negatives=48, exponent=0.75)
SIZE = 16


def draw_batch(key, data, positives=1):
    return batches.draw(key, data, SIZE, positives=positives, length=4)


def draw(name, key, data, positives=1, wrap=lambda sampler: sampler):
    batch_key, sample_key = jax.random.split(key)
    sampler = wrap(FAMILY[name](SETTINGS))
    batch = draw_batch(batch_key, data, positives)
    candidates, _ = sampler.sample(sample_key, sampler.init(data, None), batch, lambda ids: jnp.zeros(()))
    return batch, candidates


def test_the_table_is_complete():
    assert set(FAMILY) == {"none", "full", *SAMPLED}


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("positives", [1, 3])
def test_log_q_is_the_log_of_the_expected_count(name, positives, split):
    """Counted over candidates that no mask takes away from row 0, but for its own positives."""
    data = batches.prepare(split.train, positives)
    draws = 4000

    def count(key):
        batch, found = draw(name, key, data, positives)
        # A row's positives are never counted against it, so an item is counted where it is not one of them.
        own = jnp.zeros(data.frequency.shape, bool).at[batch.positive[0]].max(batch.target[0] > 0)
        drawn = jnp.zeros(data.frequency.shape).at[found.ids].add(found.where[0].astype(jnp.float32))
        log_q = (
            jnp.full(data.frequency.shape, jnp.nan).at[found.ids].set(jnp.broadcast_to(found.log_q, found.ids.shape))
        )
        return drawn, ~own, log_q

    drawn, possible, log_q = jax.jit(jax.vmap(count))(jax.random.split(jax.random.key(0), draws))
    log_q = np.asarray(log_q)
    lowest, highest = np.fmin.reduce(log_q), np.fmax.reduce(log_q)
    np.testing.assert_array_equal(lowest, highest)  # an item's log_q is the same in every draw
    expected = np.exp(highest)
    times = np.asarray(possible).sum(0)
    mean = np.asarray(drawn).sum(0) / times
    error = np.asarray(drawn).std(0) / np.sqrt(times)
    seen = error > 0
    assert seen.sum() > 100
    assert np.all(np.abs(mean - expected)[seen] <= 5 * error[seen] + 1e-6)


@pytest.mark.parametrize("name", SAMPLED)
def test_the_partition_estimate_is_unbiased(name, data):
    """Of one fixed row, over the corpus but its positive, with logits that vary by item."""
    logits = jnp.sin(jnp.arange(data.frequency.shape[0]) * 1.7)
    reachable = data.frequency > 0 if name == "in_batch" else jnp.ones_like(data.frequency, bool)

    def estimate(key):
        batch, found = draw(name, key, data)
        value = jnp.sum(jnp.where(found.where[0], jnp.exp(logits[found.ids] - found.log_q), 0.0))
        return value - jnp.sum(jnp.where(reachable, jnp.exp(logits), 0.0).at[batch.positive[0, 0]].set(0.0))

    errors = np.asarray(jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(1), 20_000)))
    assert abs(errors.mean()) < 5 * errors.std() / np.sqrt(len(errors))


@pytest.mark.parametrize("name", SAMPLED)
def test_the_positives_log_q_is_that_of_the_same_item_as_a_candidate(name, data):
    batch, found = draw(name, jax.random.key(2), data)
    log_q = np.broadcast_to(found.log_q, found.ids.shape)
    for row, item in enumerate(np.asarray(batch.positive)[:, 0]):
        same = log_q[np.asarray(found.ids) == item]
        np.testing.assert_allclose(np.full(len(same), found.positive_log_q[row, 0]), same, rtol=1e-6)
    assert np.isin(np.asarray(batch.positive), np.asarray(found.ids)).any()


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("positives", [1, 3])
def test_where_leaves_out_exactly_the_rows_own_positives(name, positives, split):
    data = batches.prepare(split.train, positives)
    batch, found = draw(name, jax.random.key(3), data, positives)
    own = [set(np.asarray(ids)[np.asarray(share) > 0]) for ids, share in zip(batch.positive, batch.target, strict=True)]
    wanted = np.array([[int(one) not in mine for one in np.asarray(found.ids)] for mine in own])
    if FAMILY[name](SETTINGS).in_batch:
        wanted[:, : batch.positive.size] &= np.asarray(batch.target > 0).reshape(-1)
    np.testing.assert_array_equal(found.where, wanted)


@pytest.mark.parametrize("name", ["full", *SAMPLED])
def test_masked_leaves_out_all_that_the_query_met(name, data):
    batch, plain = draw(name, jax.random.key(4), data)
    _, found = draw(name, jax.random.key(4), data, wrap=known.masked)
    met = [
        set(np.asarray(data.interactions.item[data.offsets[query] : data.offsets[query + 1]]).tolist())
        for query in np.asarray(batch.features["query"])
    ]
    if name == "full":
        listed = [{one for one in row if one < len(data.frequency)} for row in np.asarray(found.where).tolist()]
        assert listed == met
        return
    ids = np.asarray(found.ids)
    wanted = np.array([[item not in mine for item in ids.tolist()] for mine in met]) & np.asarray(plain.where)
    np.testing.assert_array_equal(found.where, wanted)
    assert (np.asarray(plain.where) & ~wanted).any()


def test_none_has_no_candidates(data):
    _, found = draw("none", jax.random.key(0), data)
    assert found.ids.shape == (0,)
    assert found.where.shape == (SIZE, 0)


def test_full_has_nothing_to_correct(data):
    batch, found = draw("full", jax.random.key(0), data)
    assert found.ids is None
    assert float(found.log_q) == 0.0
    np.testing.assert_array_equal(found.where, batch.positive)


@pytest.mark.parametrize("name", ["full", *SAMPLED])
def test_jit_equals_eager_and_the_key_decides(name, data):
    eager = draw(name, jax.random.key(5), data)[1]
    jitted = jax.jit(lambda key: draw(name, key, data)[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), jitted(jax.random.key(5)), eager)
    other = jitted(jax.random.key(6))
    assert not np.array_equal(jax.tree.leaves(other)[0], jax.tree.leaves(eager)[0]) or name == "full"


def test_popularity_follows_the_exponent_exactly(data):
    """The proposal's own log_q against count^0.75, to the resolution of 2^-32 ticks."""
    count = np.maximum(np.bincount(data.interactions.item, minlength=len(data.frequency)), 1.0)
    wanted = np.log(48 * count**0.75 / np.sum(count**0.75))
    state = samplers.popularity(SETTINGS).init(data, None)
    np.testing.assert_allclose(np.log(48) + state.log_q, wanted, rtol=1e-5, atol=1e-6)


def test_a_proposal_keeps_rare_items_of_a_large_corpus():
    """No clipping: an item of probability 2e-9 is drawn that often, and its log_q says so."""
    weights = np.full(1_000_001, 500.0)
    weights[0] = 1.0
    proposal = samplers._proposal(weights)
    np.testing.assert_allclose(proposal.log_q[0], np.log(1.0 / weights.sum()), rtol=0.01)
    ticks = np.diff(np.concatenate([[0], np.asarray(proposal.bounds, np.int64), [2**32]]))
    np.testing.assert_allclose(np.log(ticks * 2.0**-32), proposal.log_q, rtol=1e-6)


def test_in_batch_counts_an_item_that_is_twice_among_three_positives_once():
    query = jnp.zeros((2,), jnp.int32)
    batch = Batch({"query": query}, jnp.array([[3, 3], [4, 5]]), jnp.array([[1.0, 0.0], [0.5, 0.5]]), jnp.ones(2))
    interactions = Interactions(query, jnp.array([3, 4]), jnp.ones(2), None)
    data = batches.Data(interactions, jnp.array([0, 2]), jnp.zeros((), jnp.int32), {}, {}, jnp.full(6, 0.25))
    sampler = samplers.in_batch(SETTINGS)
    found, _ = sampler.sample(jax.random.key(0), sampler.init(data, None), batch, None)
    np.testing.assert_array_equal(found.ids, [3, 3, 4, 5])
    np.testing.assert_array_equal(found.where, [[False, False, True, True], [True, False, False, False]])
