"""The streaming estimate against the published algorithm written as a loop, and against the streams' true rates.

Statistical tests use fixed seeds and bounds of five standard errors: for another seed one comparison fails with a
probability below 1e-6 where the normal approximation holds.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import frequency
from recjax.errors import InputError

RATE = 0.25
STREAM = jnp.array([[3, 8, 3, 1], [8, 8, 5, 0], [2, 9, 1, 3], [7, 3, 3, 3], [0, 4, 8, 6]])


@jax.jit
def run(state, stream, rate=RATE, where=None, first=0):
    def one(state, batch):
        step, ids, where = batch
        return frequency.update(state, step, ids, rate=rate, where=where), None

    return jax.lax.scan(one, state, (first + jnp.arange(len(stream)), stream, where))[0]


read = jax.jit(lambda state, ids: (frequency.probability(state, ids), frequency.expected_count(state, ids)))


def places(hashes, buckets, ids):
    return np.asarray(frequency._places(frequency.init(hashes, buckets, 1.0), ids)[1])


def published(stream, hashes, buckets, gap):
    """Algorithm 3 with a loop over buckets; steps from 1 and nothing met before 1, as in the paper."""
    last, mean = np.zeros((hashes, buckets)), np.full((hashes, buckets), gap)
    for step, ids in enumerate(np.asarray(stream), start=1):
        for one in range(hashes):
            for bucket in set(places(hashes, buckets, jnp.asarray(ids))[one]):
                mean[one, bucket] = (1 - RATE) * mean[one, bucket] + RATE * (step - last[one, bucket])
                last[one, bucket] = step
    return mean


@pytest.mark.parametrize(("hashes", "buckets"), [(1, 10), (1, 4), (3, 5)])
def test_it_is_the_published_algorithm(hashes, buckets):
    state = run(frequency.init(hashes, buckets, 7.0), STREAM)
    wanted = published(STREAM, hashes, buckets, 7.0)
    np.testing.assert_allclose(state.gap, wanted, rtol=1e-6)
    ids = jnp.arange(10).reshape(2, 5)
    found = np.take_along_axis(wanted, places(hashes, buckets, ids).reshape(hashes, -1), axis=1)
    np.testing.assert_allclose(read(state, ids)[0].reshape(-1), 1 / found.max(0), rtol=1e-6)


def test_one_item_by_hand():
    """Met at steps 0, 3 (twice) and 4: gaps 1, 3, 1, counts 1, 2, 1."""
    state = run(frequency.init(1, 10, 8.0), jnp.array([[5, 1], [1, 2], [2, 3], [5, 5], [1, 5]]))
    gap = (((8 * 0.75 + 1 * 0.25) * 0.75) + 3 * 0.25) * 0.75 + 1 * 0.25
    count = (1 * 0.75 + 2 * 0.25) * 0.75 + 1 * 0.25
    probability, expected_count = read(state, jnp.array(5))
    assert float(probability) == pytest.approx(1 / gap, rel=1e-6)
    assert float(expected_count) == pytest.approx(count / gap, rel=1e-6)
    assert state.last.tolist() == [[-1, 4, 2, 2, -1, 4, -1, -1, -1, -1]]


def test_the_order_and_the_shape_of_a_batch_do_not_matter():
    start = frequency.init(3, 5, 7.0)
    for other in (STREAM[:, ::-1], STREAM.reshape(5, 2, 2)):
        jax.tree.map(np.testing.assert_array_equal, run(start, STREAM), run(start, other))


def test_duplicates_are_met_once_and_counted():
    start = frequency.init(1, 10, 7.0)
    once, twice = (run(start, jnp.array([ids]), first=4) for ids in ([3, 8], [3, 8, 3]))
    np.testing.assert_array_equal(once.gap, twice.gap)
    np.testing.assert_array_equal(once.last, twice.last)
    np.testing.assert_array_equal(once.times, jnp.ones((1, 10)))
    np.testing.assert_array_equal(*read(once, STREAM))
    np.testing.assert_array_equal(twice.times[0], jnp.ones(10).at[3].set(0.75 * 1 + 0.25 * 2))


def test_where_equals_a_slice_and_all_masked_changes_nothing():
    start = run(frequency.init(3, 5, 7.0), STREAM)
    kept = jnp.array([True, False, True, False])
    masked = run(start, STREAM[:1], where=kept[None], first=9)
    jax.tree.map(np.testing.assert_array_equal, masked, run(start, STREAM[:1, kept], first=9))
    nothing = run(start, STREAM[:1], where=jnp.zeros((1, 4), bool), first=9)
    jax.tree.map(np.testing.assert_array_equal, nothing, start)


def test_jit_equals_eager_and_vmap_equals_a_loop():
    start, rates = frequency.init(3, 5, 7.0), jnp.array([0.1, 0.4])
    eager = start
    for step, ids in enumerate(STREAM):
        eager = frequency.update(eager, step, ids, rate=rates[0])
    loop = [run(start, STREAM, rate) for rate in rates]
    mapped = jax.vmap(run, in_axes=(None, None, 0))(start, STREAM, rates)
    for found, wanted in zip(
        [eager, *(jax.tree.map(lambda x, n=n: x[n], mapped) for n in (0, 1))], [loop[0], *loop], strict=True
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, wanted)


def test_enough_buckets_for_a_corpus_are_exact():
    """None is shared; and hash functions that happen to share none change no number."""
    ids = jnp.arange(10)
    np.testing.assert_array_equal(places(1, 10, ids)[0], ids)
    one, many = (run(frequency.init(*size, 7.0), STREAM) for size in ((1, 10), (3, 2**20)))
    assert all(len(set(row)) == 10 for row in places(3, 2**20, ids).tolist())
    for found, wanted in zip(read(many, ids), read(one, ids), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_items_that_share_a_bucket_are_one_item():
    """With one hash function ids count modulo the buckets, also those that no vocabulary has."""
    shared = jnp.array([3, 7, -9, 13, 2**31 - 1])
    state, as_one = (
        run(frequency.init(1, 10, 7.0), jnp.stack([ids, ids]))
        for ids in (shared, jnp.asarray(places(1, 10, shared)[0]))
    )
    jax.tree.map(np.testing.assert_array_equal, state, as_one)


@pytest.mark.parametrize("ids", [np.arange(4096), 4096 * np.arange(4096), -1 - 3 * np.arange(4096)])
def test_hash_functions_are_independent(ids):
    """Pairs of ids that meet in one function, and in two of them, are as many as among random buckets.

    Five standard deviations of a Poisson count. The first function is the id modulo the buckets, so it is even: its
    pairs are counted with another's only.
    """
    buckets, hashes = 509, 4
    found = places(hashes, buckets, jnp.asarray(ids, jnp.int32)).astype(np.int64)
    pairs = len(ids) * (len(ids) - 1) / 2

    def met(keys):
        count = np.unique(keys, return_counts=True)[1]
        return np.sum(count * (count - 1)) / 2

    for one in range(1, hashes):
        assert abs(met(found[one]) - pairs / buckets) < 5 * (pairs / buckets) ** 0.5
        for other in range(one):
            assert abs(met(found[one] * buckets + found[other]) - pairs / buckets**2) < 5 * pairs**0.5 / buckets


def test_it_finds_the_rates_of_batches_with_replacement():
    """Over 400 streams of batches of 8; beyond five standard errors the moving averages' own bias, below the rate."""
    f, examples, rate = jnp.array([0.4, 0.3, 0.2, 0.1]), 8, 0.01

    def stream(key):
        batches = jax.random.choice(key, 4, (1500, examples), p=f)
        return read(run(frequency.init(1, 4, 1.0), batches, rate), jnp.arange(4))

    found = jax.jit(jax.vmap(stream))(jax.random.split(jax.random.key(0), 400))
    for values, wanted in zip(found, (1 - (1 - f) ** examples, examples * f), strict=True):
        error = np.std(values, axis=0) / np.sqrt(len(values))
        assert np.all(np.abs(np.mean(values, axis=0) - wanted) < 5 * error + rate * wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hashes": 0}, "hashes is 0; wanted a value at least 1; type for example hashes=1"),
        ({"buckets": 0}, "buckets is 0; wanted a value at least 1"),
        ({"gap": 0.5}, "gap is 0.5; wanted a value at least 1"),
    ],
)
def test_bad_sizes_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        frequency.init(**({"hashes": 1, "buckets": 4, "gap": 10.0} | arguments))
