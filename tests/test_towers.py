"""Nets as plain functions."""

import jax
import jax.numpy as jnp
import numpy as np

from recjax import tables, towers
from recjax.types import Bag

KEY = jax.random.key(0)


def test_a_module_becomes_plain_functions_of_a_plain_dict():
    init, apply = towers.functional(lambda rngs: towers.MLP((3, 4, 2), jax.nn.relu, 0.0, "none", rngs=rngs))
    params = init(KEY)
    assert jax.tree.map(jnp.shape, params) == {
        "layers": {0: {"bias": (4,), "kernel": (3, 4)}, 1: {"bias": (2,), "kernel": (4, 2)}}
    }
    params = jax.tree.map(lambda leaf: leaf + 0.25, params)
    x = jnp.array([[1.0, -2.0, 0.5]])
    first, second = (params["layers"][depth] for depth in (0, 1))
    wanted = np.maximum(x @ first["kernel"] + first["bias"], 0) @ second["kernel"] + second["bias"]
    np.testing.assert_allclose(apply(None, params, x), wanted, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, init(KEY), jax.jit(init)(KEY))


def test_a_net_concatenates_its_features_in_order():
    specs = {"color": tables.Table(5, 2), "item": tables.Table(9, 3)}
    features = [towers.Feature("age"), towers.Feature("color", "color"), towers.Feature("history", "item")]
    tower = towers.net(features, specs, sizes=(2,), combine="sum")
    params = tower.init(KEY)
    history = Bag(jnp.array([[4, 7]]), jnp.array([[True, False]]))
    values = {"age": jnp.array([0.5]), "color": jnp.array([3]), "history": history}
    ids = tower.ids(values)
    assert ids["color"]["color"].tolist() == [3]
    assert ids["item"]["history"] is history
    table = tables.init(KEY, specs)
    x = jnp.concatenate([jnp.array([0.5]), table["color"][3], table["item"][4]])
    wanted = x @ params["layers"][0]["kernel"] + params["layers"][0]["bias"]
    np.testing.assert_allclose(
        tower.apply(None, params, tables.lookup(specs, table, ids), values)[0], wanted, rtol=1e-5
    )


def test_dropout_keeps_the_expectation():
    """The mean of 20,000 draws of a sum of 3 terms, each 0 or doubled: within 5 standard errors, p < 1e-6."""
    _, apply = towers.functional(lambda rngs: towers.MLP((3, 1), jax.nn.relu, 0.5, "none", rngs=rngs))
    params = {"layers": {0: {"kernel": jnp.ones((3, 1)), "bias": jnp.zeros(1)}}}
    draws = jax.vmap(lambda key: apply(key, params, jnp.ones((1, 3)))[0, 0])(jax.random.split(KEY, 20_000))
    assert abs(np.mean(draws) - 3.0) < 5 * np.sqrt(3 / 20_000)
    assert set(np.unique(draws)) == {0.0, 2.0, 4.0, 6.0}
