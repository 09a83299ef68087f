"""The blocked log-partition equals the plain one, in value and in every gradient.

Tolerance, where none is named: 1e-5, relative to the largest entry of what is compared. Both sides add a few hundred
float32 terms in another order (2^-24 each).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import embed, partition, scores, tables, towers
from recjax.towers import Feature
from recjax.types import Bag, Model

BATCH, DIMENSION, BLOCK = 5, 3, 8
COUNTS = [1, 8, 9, 23]  # below a block, one, and more with something left over
COTANGENT = jnp.array([0.5, 2.0, -1.0, 0.0, 3.0])
KEY = jax.random.key(0)


def example(count, seed=0):
    """What is learned: queries, items, bias, temperature."""
    rng = np.random.default_rng(seed)
    shapes = (BATCH, DIMENSION), (count, DIMENSION), (count,)
    return *(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes), jnp.float32(0.4)


def excluded(count, seed=0):
    """With duplicates, ids of any block, and padding on both sides of [0, N)."""
    ids = np.random.default_rng(seed).integers(-2, count + 2, (BATCH, 6))
    return jnp.asarray(np.hstack([ids, ids[:, :2], np.full((BATCH, 1), np.iinfo(np.int32).max)]), jnp.int32)


OPTIONS = [{}, {"score": scores.cosine}, {"exclude": excluded}, {"score": scores.cosine, "exclude": excluded}]


def plain(queries, items, bias, temperature, exclude=None, score=scores.dot):
    where = np.ones((len(queries), len(items)), bool)
    for row, ids in enumerate(() if exclude is None else np.asarray(exclude)):
        where[row, [one for one in ids if 0 <= one < len(items)]] = False
    return jax.nn.logsumexp(jnp.where(where, score(queries, items) / temperature + bias, -jnp.inf), axis=-1)


def blocked(queries, items, bias, temperature, block=BLOCK, **options):
    return partition.log_partition(queries, items, bias=bias, temperature=temperature, block=block, **options)


def value_and_gradients(function, *learned):
    """The value, and the gradient of its rows weighed by COTANGENT."""

    def both(*learned):
        value, pull = jax.vjp(function, *learned)
        return value, pull(COTANGENT)

    return jax.jit(both)(*learned)


def assert_same(found, wanted, tolerance=1e-5):
    def same(one, other):
        assert one.dtype == other.dtype
        one, other = np.asarray(one, np.float32), np.asarray(other, np.float32)
        largest = np.max(np.abs(other), where=np.isfinite(other), initial=0.0)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * largest)

    jax.tree.map(same, found, wanted)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "plain")
def test_equals_the_plain_one(count, options):
    options = {name: value(count) if name == "exclude" else value for name, value in options.items()}
    learned = example(count)
    wanted = value_and_gradients(functools.partial(plain, **options), *learned)
    assert_same(value_and_gradients(functools.partial(blocked, **options), *learned), wanted)


@pytest.mark.parametrize("block", [1, 5, 23, 4096])
def test_the_block_changes_nothing(block):
    learned = example(23)
    function = functools.partial(blocked, exclude=excluded(23), block=block)
    assert_same(
        value_and_gradients(function, *learned),
        value_and_gradients(functools.partial(plain, exclude=excluded(23)), *learned),
    )


def test_without_a_bias_and_a_temperature_they_are_0_and_1():
    queries, items, bias, _ = example(23)
    found = value_and_gradients(lambda *learned: partition.log_partition(*learned, block=BLOCK), queries, items)
    wanted = value_and_gradients(lambda *learned: plain(*learned, 0.0 * bias, 1.0), queries, items)
    assert_same(found, wanted)


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_large_logits_stay_finite(shift):
    """Logits of 1e4 are known to 2^-24 of themselves, .0006; so are the gradient's probabilities."""
    queries, items, bias, temperature = example(23)
    found = value_and_gradients(blocked, queries, items, bias + shift, temperature)
    wanted = value_and_gradients(blocked, queries, items, bias, temperature)
    np.testing.assert_allclose(found[0] - shift, wanted[0], atol=2e-3)
    assert_same(found[1], wanted[1], 2e-3)


def test_a_row_that_excludes_every_item_is_minus_infinity_with_gradients_of_0():
    learned = example(23)
    exclude = excluded(23).at[2, :].set(-1)
    exclude = jnp.concatenate([exclude, jnp.full((BATCH, 23), -1).at[2].set(jnp.arange(23))], axis=1)
    value, gradients = value_and_gradients(functools.partial(blocked, exclude=exclude), *learned)
    assert np.isneginf(value[2])
    assert np.all(gradients[0][2] == 0.0)
    without = COTANGENT.at[2].set(0.0)
    others, pull = jax.vjp(functools.partial(plain, exclude=excluded(23)), *learned)
    assert_same(value.at[2].set(0.0), others.at[2].set(0.0))
    assert_same(gradients, pull(without))


def test_a_bfloat16_table_is_computed_in_float32_and_has_a_gradient_of_its_own_kind():
    """The gradient is rounded once, to 8 bits."""
    queries, items, bias, temperature = example(23)
    half = items.astype(jnp.bfloat16)
    found = value_and_gradients(blocked, queries, half, bias, temperature)
    wanted = value_and_gradients(plain, queries, half.astype(jnp.float32), bias, temperature)
    assert found[1][1].dtype == jnp.bfloat16
    assert_same(found[0], wanted[0])
    assert_same(found[1][1].astype(jnp.float32), wanted[1][1], 2**-8)
    assert_same([found[1][one] for one in (0, 2, 3)], [wanted[1][one] for one in (0, 2, 3)])


def test_jit_equals_eager_and_vmap_equals_the_loop():
    function = functools.partial(blocked, exclude=excluded(23))
    call = jax.jit(functools.partial(value_and_gradients, function))
    both = [example(23, seed) for seed in (0, 1)]
    looped = jax.tree.map(lambda *parts: jnp.stack(parts), *(call(*one) for one in both))
    stacked = [jnp.stack(parts) for parts in zip(*both, strict=True)]
    assert_same(jax.vmap(call)(*stacked), looped)
    value, pull = jax.vjp(function, *both[0])
    assert_same((value, pull(COTANGENT)), call(*both[0]))


def test_a_gradient_can_be_taken_alone():
    queries, items, bias, temperature = example(23)
    found = jax.grad(lambda temperature: blocked(queries, items, bias, temperature) @ COTANGENT)(temperature)
    assert_same(found, jax.grad(lambda temperature: plain(queries, items, bias, temperature) @ COTANGENT)(temperature))


def towered(count, dropout=0.0, tied=True, seed=0):
    """An item net over its id (shared rows), a bag of tags (hashed) and a price; the query reads the item table."""
    rng = np.random.default_rng(seed)
    table = "item" if tied else "query"
    specs = {"item": tables.Table(count, 4), "tags": tables.Table(50, 2, buckets=6), "query": tables.Table(30, 3)}
    reads = [Feature("item", "item"), Feature("tags", "tags"), Feature("price")]
    item = towers.net(reads, specs, sizes=(6, DIMENSION), activation=jnp.tanh, dropout=dropout)
    model = Model(specs, towers.net([Feature("last", table)], specs, sizes=(DIMENSION,)), item)
    bag = Bag(jnp.asarray(rng.integers(-1, 50, (count, 3)), jnp.int32), jnp.asarray(rng.random((count, 3)) < 0.6))
    price = jnp.asarray(rng.normal(size=count), jnp.float32)
    corpus = {"item": jnp.arange(count), "tags": bag, "price": price}
    params = jax.tree.map(lambda leaf: 3.0 * leaf, embed.init(KEY, model))
    return model, params, corpus, {"last": jnp.asarray(rng.integers(0, count, BATCH), jnp.int32)}


@pytest.mark.parametrize("count", [8, 23])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("options", OPTIONS[::3], ids=["plain", "cosine-exclude"])
def test_a_tower_equals_embedding_every_item_first(count, tied, options):
    options = {name: value(count) if name == "exclude" else value for name, value in options.items()}
    model, params, corpus, features = towered(count, tied=tied)
    bias, temperature = example(count)[2:]

    def by_blocks(params, bias, temperature):
        queries = embed.queries(None, model, params, features)
        given = {"bias": bias, "temperature": temperature, "block": BLOCK} | options
        return partition.tower_log_partition(None, queries, model, params, corpus, **given)

    def at_once(params, bias, temperature):
        queries = embed.queries(None, model, params, features)
        return plain(queries, embed.items(None, model, params, corpus), bias, temperature, **options)

    learned = params, bias, temperature
    assert_same(value_and_gradients(by_blocks, *learned), value_and_gradients(at_once, *learned), 2e-5)


def test_a_towers_dropout_is_the_same_in_both_passes():
    model, params, corpus, features = towered(23, dropout=0.5)

    def by_blocks(params, key=KEY):
        queries = embed.queries(None, model, params, features)
        return partition.tower_log_partition(key, queries, model, params, corpus, block=BLOCK)

    def at_once(params):
        parts = [
            embed.items(
                jax.random.fold_in(KEY, first),
                model,
                params,
                jax.tree.map(lambda leaf, first=first: leaf[first : first + BLOCK], corpus),
            )
            for first in (0, 8, 16)
        ]
        return plain(embed.queries(None, model, params, features), jnp.concatenate(parts), 0.0, 1.0)

    assert_same(value_and_gradients(by_blocks, params), value_and_gradients(at_once, params), 2e-5)
    assert np.any(np.abs(jax.jit(by_blocks)(params) - jax.jit(by_blocks)(params, None)) > 1e-3)


def test_a_towers_vmap_equals_the_loop():
    model, params, corpus, _ = towered(23)

    @jax.jit
    def call(queries, params):
        function = functools.partial(partition.tower_log_partition, KEY, block=BLOCK)
        return value_and_gradients(lambda queries, params: function(queries, model, params, corpus), queries, params)

    both = [(example(23, seed)[0], jax.tree.map(lambda leaf, seed=seed: (1 + seed) * leaf, params)) for seed in (0, 1)]
    looped = jax.tree.map(lambda *parts: jnp.stack(parts), *(call(*one) for one in both))
    assert_same(jax.vmap(call)(*jax.tree.map(lambda *parts: jnp.stack(parts), *both)), looped)


def temporaries(function, *arguments):
    """Bytes beyond the arguments, the value and the gradients."""
    program = jax.jit(jax.value_and_grad(lambda *learned: function(*learned).sum(), (0, 1))).lower(*arguments).compile()
    return program.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("count", [100_010, 1_000_010])
def test_memory_follows_the_block_and_not_the_corpus(count):
    """For four queries the logits of 1e5 items take 1.6 MB, and so does a copy of the items."""
    function = functools.partial(partition.log_partition, exclude=jnp.zeros((4, 2), jnp.int32), block=64)
    assert temporaries(function, jnp.ones((4, 4)), jax.ShapeDtypeStruct((count, 4), jnp.float32)) < 100_000


@pytest.mark.parametrize("count", [30_010, 60_010])
def test_a_towers_memory_follows_the_block_and_not_the_corpus(count):
    """For 30 queries the logits of 30,010 items take 3.6 MB, their embeddings and a copy of their table .4 MB."""
    model, params, corpus, _ = towered(count)

    def function(queries, params):
        return partition.tower_log_partition(None, queries, model, params, corpus, block=64)

    assert temporaries(function, jnp.ones((30, DIMENSION)), params) < 200_000
