"""Penalties equal their dense forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import penalties
from recjax.types import Batch, Params

RNG = np.random.default_rng(0)
U, V = (jnp.asarray(RNG.normal(size=(rows, 4)), jnp.float32) for rows in (6, 9))
PARAMS = Params({"query": U, "item": V}, {}, {})
TARGET = jnp.array([[0.5, 0.5], [1.0, 0.0], [0.5, 0.5]])
BATCH = Batch({}, jnp.zeros((3, 2), jnp.int32), TARGET, jnp.ones(3))
QUERIES, ITEMS = U[:3], V[:6].reshape(3, 2, 4)


def dense(name, weight, params=PARAMS, queries=QUERIES, items=ITEMS):
    if name == "gravity":
        return weight * jnp.mean((params.tables["query"] @ params.tables["item"].T) ** 2)
    if name == "l2":
        return weight * sum(jnp.mean(jnp.sum(rows**2, -1)) for rows in params.tables.values())
    if name == "corpus_gravity":
        return weight * jnp.mean((queries @ params.tables["item"].T) ** 2)
    rows = items.reshape(-1, 4)[jnp.array([0, 1, 2, 4, 5])]  # all but the padded positive
    return weight * jnp.mean((queries @ rows.T) ** 2)


@pytest.fixture(params=["gravity", "corpus_gravity", "batch_gravity", "l2"])
def name(request):
    return request.param


@pytest.fixture
def apply(name, data):
    def value(weight, params=PARAMS, queries=QUERIES, items=ITEMS):
        penalty = getattr(penalties, name)(weight)
        return penalty.apply(penalty.init(data, params), params, queries, items, BATCH)[0]

    return value


def test_equals_the_dense_mean_square(name, apply):
    np.testing.assert_allclose(apply(0.5), dense(name, 0.5), rtol=1e-5)


def test_gradients_equal_the_dense_ones(name, apply):
    argument = (PARAMS, QUERIES, ITEMS)
    found = jax.grad(lambda one: apply(2.0, *one))(argument)
    wanted = jax.grad(lambda one: dense(name, 2.0, *one))(argument)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


def test_the_weight_may_be_a_tracer(name, apply):
    weights = jnp.array([0.5, 2.0])
    mapped = jax.jit(jax.vmap(apply))(weights)
    np.testing.assert_allclose(mapped, [dense(name, 0.5), dense(name, 2.0)], rtol=1e-5)
