"""Every sampler goes through every property; what is drawn is what log_q says.

Statistical tests use fixed seeds. Their bounds are five standard errors, so that for another seed one comparison fails
with a probability below 1e-6 where the normal approximation holds.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import batches, configs, fields, known, samplers
from recjax.errors import InputError
from recjax.samplers import proposals
from recjax.samplers.model import hardest
from recjax.types import Batch, Interactions, Lists

FAMILY = fields.members(samplers)
BATCH = ["in_batch", "mixed", "memory"]
MODEL = ["hard", "score_proportional", "adaptive"]
SAMPLED = ["uniform", "popularity", "log_uniform", *BATCH, *MODEL]
OWN = {"popularity": {"exponent": 0.75}, "mixed": {"exponent": 0.75}, "memory": {"memory": 30}}
SIZE = 16


def make(name, **changes):
    return FAMILY[name](configs.Sampler(**{"name": name, "negatives": 48} | OWN.get(name, {}) | changes))


def draw_batch(key, data, positives=1):
    return batches.draw(key, data, SIZE, positives=positives, length=4)


def draw(name, key, data, positives=1, wrap=lambda sampler: sampler):
    batch_key, sample_key = jax.random.split(key)
    sampler = wrap(make(name))
    batch = draw_batch(batch_key, data, positives)
    state = sampler.init(data, None)
    if name == "memory":  # it is full after two steps
        for past in jax.random.split(jax.random.fold_in(key, 1), 2):
            _, state = sampler.sample(past, state, draw_batch(past, data, positives))
    candidates, _ = sampler.sample(sample_key, state, batch)
    return batch, candidates


def test_the_table_is_complete():
    assert set(FAMILY) == {"none", "full", "impressions", *SAMPLED}


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
    reachable = data.frequency > 0 if name in ("in_batch", "memory") else jnp.ones_like(data.frequency, bool)

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
    if make(name).in_batch:
        wanted[:, : batch.positive.size] &= np.asarray(batch.target > 0).reshape(-1)
    if name == "memory":  # padding among what is remembered counts for no row
        exists = np.asarray(found.where)[:, batch.positive.size :].any(0)
        assert exists.sum() == (30 if positives == 1 else 28)
        wanted[:, batch.positive.size :] &= exists
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
    state = make("popularity").init(data, None)
    np.testing.assert_allclose(np.log(48) + state.log_q, wanted, rtol=1e-5, atol=1e-6)


def test_a_proposal_keeps_rare_items_of_a_large_corpus():
    """No clipping: an item of probability 2e-9 is drawn that often, and its log_q says so."""
    weights = np.full(1_000_001, 500.0)
    weights[0] = 1.0
    proposal = proposals.proposal(weights)
    np.testing.assert_allclose(proposal.log_q[0], np.log(1.0 / weights.sum()), rtol=0.01)
    ticks = np.diff(np.concatenate([[0], np.asarray(proposal.bounds, np.int64), [2**32]]))
    np.testing.assert_allclose(np.log(ticks * 2.0**-32), proposal.log_q, rtol=1e-6)


def test_in_batch_counts_an_item_that_is_twice_among_three_positives_once():
    query = jnp.zeros((2,), jnp.int32)
    batch = Batch({"query": query}, jnp.array([[3, 3], [4, 5]]), jnp.array([[1.0, 0.0], [0.5, 0.5]]), jnp.ones(2))
    interactions = Interactions(query, jnp.array([3, 4]), jnp.ones(2), None)
    data = batches.Data(interactions, jnp.array([0, 2]), jnp.zeros((), jnp.int32), {}, {}, jnp.full(6, 0.25))
    sampler = make("in_batch")
    found, _ = sampler.sample(jax.random.key(0), sampler.init(data, None), batch)
    np.testing.assert_array_equal(found.ids, [3, 3, 4, 5])
    np.testing.assert_array_equal(found.where, [[False, False, True, True], [True, False, False, False]])


def refined(name, key, data, logits, **changes):
    """A batch, a sampler's candidates before and after it has seen these logits [N], and its new state."""
    sampler = make(name, **changes)
    batch = draw_batch(jax.random.key(7), data)
    found, state = sampler.sample(key, sampler.init(data, None), batch)
    refine_key = jax.random.fold_in(key, 1)
    negative = jnp.broadcast_to(logits[found.ids], (SIZE, len(found.ids)))
    after, state, metrics = sampler.refine(refine_key, state, batch, found, logits[batch.positive], negative)
    return batch, found, after, state, metrics


def test_resampling_by_scores_is_unbiased_and_follows_the_softmax(data):
    """Of a row: sums of exp(logit) and of another function over the corpus but the positive. A pool of 48 items, of
    which a row keeps 20 or fewer. Each of 3 tests of a mean, and each of SIZE by 48 of a frequency, errs once in a
    million: five standard errors.
    """
    item = jnp.arange(data.frequency.shape[0])
    logits, other = 2.0 * jnp.sin(item * 1.7), jnp.cos(item * 0.9)

    def estimate(key):
        batch, pool, found, _, _ = refined("score_proportional", key, data, logits, resampled=20)
        weight = jnp.where(found.where, jnp.exp(-found.log_q), 0.0)[0]
        exact = [jnp.sum(value.at[batch.positive[0, 0]].set(0.0)) for value in (jnp.exp(logits), other)]
        return weight @ jnp.exp(logits[pool.ids]) - exact[0], weight @ other[pool.ids] - exact[1]

    errors = np.asarray(jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(1), 20_000)))
    assert np.all(np.abs(errors.mean(1)) < 5 * errors.std(1) / np.sqrt(errors.shape[1]))

    batch, pool, _, _, _ = refined("score_proportional", jax.random.key(3), data, logits)
    negative = jnp.broadcast_to(logits[pool.ids], pool.where.shape)
    refine = make("score_proportional", resampled=20).refine
    keep = jax.jit(jax.vmap(lambda key: refine(key, None, batch, pool, logits[batch.positive], negative)[0]))
    found = keep(jax.random.split(jax.random.key(4), 4000))
    share = jax.nn.softmax(jnp.where(pool.where, negative, -jnp.inf), axis=-1)
    chance = np.minimum(20 * np.asarray(share), 1.0)
    assert np.any(chance == 1.0)
    counted = np.asarray(found.where).mean(0)
    assert np.all(np.abs(counted - chance) <= 5 * np.sqrt(chance * (1 - chance) / 4000) + 1e-9)
    log_q = np.broadcast_to(np.asarray(pool.log_q + np.log(np.where(pool.where, chance, 1.0))), found.log_q.shape)
    np.testing.assert_allclose(found.log_q[:, pool.where], log_q[:, pool.where], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("steps", "share"), [(0, 0.25), (4, 1.0)])
def test_the_hardest_of_a_pool_are_those_with_the_highest_logits(steps, share, data):
    logits = jnp.sin(jnp.arange(data.frequency.shape[0]) * 1.7)
    _, pool, found, (_, step), _ = refined("hard", jax.random.key(0), data, logits, hard_share=0.25, hard_steps=steps)
    score, count = np.asarray(logits[pool.ids]), int(np.ceil(share * 48))
    for before, after in zip(np.asarray(pool.where), np.asarray(found.where), strict=True):
        lowest = np.sort(score[before])[-min(count, before.sum())]
        np.testing.assert_array_equal(after, before & (score >= lowest))
    np.testing.assert_array_equal(found.log_q, pool.log_q)
    assert int(step) == 1


@pytest.mark.parametrize("columns", [1, 31, 32, 33, 100, 4128])  # whatever the groups in which they are counted
@pytest.mark.parametrize("share", [0.03, 0.5, 1.0])
def test_the_hardest_are_as_many_as_wanted_and_none_is_easier_than_another(columns, share):
    rng = np.random.default_rng(columns)
    where = (rng.random((5, columns)) < 0.9) | (np.arange(5) == 0)[:, None]
    logits = np.argsort(rng.random((5, columns))).astype(np.float32) + 10.0 * ~where
    count = int(np.ceil(share * columns))
    found = np.asarray(hardest(jnp.asarray(logits), jnp.asarray(where), count))
    for row, among, score in zip(found, where, logits, strict=True):
        order = np.argsort(np.where(among, -score, np.inf))[: min(count, among.sum())]
        assert sorted(np.flatnonzero(row)) == sorted(order)


def test_the_share_of_the_hardest_falls_on_a_straight_line(data):
    sampler = make("hard", hard_share=0.25, hard_steps=4)
    batch = draw_batch(jax.random.key(7), data)
    state, counts = sampler.init(data, None), []
    for key in jax.random.split(jax.random.key(0), 6):
        found, state = sampler.sample(key, state, batch)
        found = found._replace(where=jnp.ones_like(found.where))
        logits = jax.random.normal(key, found.where.shape)
        found, state, _ = sampler.refine(key, state, batch, found, logits[:, :1], logits)
        counts.append(np.asarray(found.where).sum(1).tolist())
    assert counts == [[round(48 * share)] * SIZE for share in (1.0, 0.8125, 0.625, 0.4375, 0.25, 0.25)]


def test_a_comb_draws_nothing_twice_and_what_is_likely_always():
    weights = jnp.array([1000.0, 500.0] + [1.0, 2.0, 3.0] * 20)
    comb = proposals.comb(weights, 12)
    expected = np.exp(comb.log_q)
    np.testing.assert_allclose(expected.sum(), 12, rtol=1e-5)
    np.testing.assert_allclose(expected[:2], 1.0, rtol=1e-2)
    np.testing.assert_allclose(expected[2:], 10 * np.asarray(weights[2:]) / 120, rtol=1e-2)
    drawn = np.asarray(jax.vmap(lambda key: proposals.lay(key, comb, 12))(jax.random.split(jax.random.key(0), 4000)))
    count = np.stack([np.bincount(row, minlength=62) for row in drawn])
    assert count[:, 2:].max() == 1
    error = np.maximum(count.std(0), 1e-9) / np.sqrt(len(drawn))
    assert np.all(np.abs(count.mean(0) - expected) <= 5 * error + 1e-2 * (expected > 0.9))


def test_a_comb_keeps_rare_items_of_a_large_corpus():
    comb = jax.jit(lambda weights: proposals.comb(weights, 1000))(jnp.full(1_000_000, 500.0).at[0].set(0.5))
    np.testing.assert_allclose(comb.log_q[0], np.log(1000 * 0.5 / (500.0 * 999_999.001)), rtol=0.01)
    far = np.abs(np.asarray(comb.log_q[1:]) - np.log(1e-3)) > 1e-3
    assert far.sum() <= 1  # one item takes what is left over, and its log_q says so
    assert int(comb.bounds[-1]) == int(comb.gap) * 1000


def test_the_proposal_follows_the_model(data):
    """With rate 1 and every item drawn, what is learned is the mean squared probability, by definition."""
    size = data.frequency.shape[0]
    logits = jnp.linspace(0.0, 6.0, size)
    changes = {"negatives": size, "floor": 1.0, "rate": 1.0, "refresh": 1}
    batch, pool, _, state, metrics = refined("adaptive", jax.random.key(0), data, logits, **changes)
    np.testing.assert_array_equal(pool.ids, np.arange(size))
    p = np.asarray(jax.nn.softmax(logits))
    shown = np.where(np.asarray(batch.positive) == np.arange(size), 0.0, p)  # a row's positive is no candidate of it
    np.testing.assert_allclose(state.square, np.mean(shown**2, 0), rtol=1e-3)
    r = np.where(shown > 0, np.exp(logits), 0.0)
    np.testing.assert_allclose(metrics["effective_sample_size"], np.mean(r.sum(1) ** 2 / (r**2).sum(1)), rtol=1e-3)


def test_a_setting_that_a_sampler_does_not_read_is_refused():
    with pytest.raises(InputError, match=r"sampler.hard_share is 0.5, which sampler.name='uniform' does not read"):
        make("uniform", hard_share=0.5)


@pytest.mark.parametrize("name", BATCH)
def test_frequencies_from_the_stream_are_near_the_counted_ones(name, data):
    """After 20,000 batches at rate .005, standard error 5 %: within 20 % for items that are in a tenth of them."""
    streamed, counted = make(name, hashes=1, buckets=120, rate=0.005), make(name)

    @jax.jit
    def last(key):
        def advance(state, key):
            _, state = streamed.sample(key, state, draw_batch(key, data))
            return state, None

        state, _ = jax.lax.scan(advance, streamed.init(data, None), jax.random.split(key, 20_000))
        return state

    state, batch = last(jax.random.key(0)), draw_batch(jax.random.key(9), data)
    _, other = counted.sample(jax.random.key(1), counted.init(data, None), batch)
    if name == "memory":
        other = (other[0], state[1])
    found, wanted = (
        one.sample(jax.random.key(1), kept, batch)[0].positive_log_q
        for one, kept in ((streamed, state), (counted, other))
    )
    often = SIZE * np.asarray(data.frequency)[np.asarray(batch.positive)] >= 0.1
    assert often.sum() > 5
    np.testing.assert_allclose(np.exp(found - wanted)[often], 1.0, atol=0.2)


def shown_to(data, lists):
    """The data with explicit negatives: `lists` of items by query, empty for the others."""
    offsets = np.cumsum([0] + [len(lists.get(query, ())) for query in range(len(data.offsets) - 1)])
    items = np.concatenate([np.asarray(lists[query]) for query in sorted(lists)])
    return data._replace(impressions=Lists(jnp.asarray(items, jnp.int32), jnp.asarray(offsets, jnp.int32)))


def test_explicit_negatives_are_drawn_from_what_the_query_was_shown(data):
    """Sums over 48 draws estimate the sum over the list, within five standard errors; no list, no negatives."""
    batch = draw_batch(jax.random.key(7), data)
    queries = np.asarray(batch.features["query"])
    own = int(batch.positive[0, 0])
    lists = {int(queries[0]): [own, 5, 9], int(queries[1]): [4]}
    sampler, given = make("impressions"), shown_to(data, lists)
    state = sampler.init(given, None)
    found, _ = jax.vmap(lambda key: sampler.sample(key, state, batch))(jax.random.split(jax.random.key(0), 500))
    for row, query in enumerate(queries.tolist()):
        if query not in lists:
            assert not np.asarray(found.where)[:, row].any()
            continue
        positives = set(np.asarray(batch.positive)[row].tolist())
        weight = np.where(found.where[:, row], np.exp(-found.log_q[:, row]), 0.0)
        for item in lists[query]:
            total = (weight * (found.ids[:, row] == item)).sum(1)
            if item in positives:
                assert not total.any()
            else:
                assert abs(total.mean() - 1.0) <= 5 * total.std() / np.sqrt(500) + 1e-5


def test_explicit_negatives_are_wanted_in_the_data(data):
    with pytest.raises(
        InputError, match=r"sampler.name='impressions' wants explicit negatives and the data set has none"
    ):
        make("impressions").init(data, None)
