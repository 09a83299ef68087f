"""Tables: which row an id reads, and bags."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import tables
from recjax.tables import Table
from recjax.types import Bag

IDS = jnp.array([[0, 2, 6], [-1, 7, 2]])


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (Table(7, 2), [[0, 2, 6], [7, 7, 2]]),
        (Table(7, 2, unknown=0), [[0, 2, 6], [-1, 7, 2]]),
    ],
)
def test_each_known_id_has_a_row_and_the_rest_the_unknown_one(table, rows):
    assert tables.row_ids(table, IDS).tolist() == rows


def test_hashed_ids_share_the_buckets_evenly_and_unknown_ones_stay_apart():
    table = Table(100_000, 2, buckets=64, unknown=3)
    rows = np.asarray(tables.row_ids(table, jnp.arange(100_000)))
    count = np.bincount(rows, minlength=64)
    assert len(count) == 64
    assert abs(count - 100_000 / 64).max() < 5 * np.sqrt(100_000 / 64)
    unknown = np.asarray(tables.row_ids(table, jnp.array([-1, -2, 100_000, 123_456, 100_003, 100_009])))
    assert set(unknown) == {64, 65, 66}


def test_a_new_tables_rows_have_the_expected_norm():
    """The mean of 40,000 squared entries: relative standard error sqrt(2 / 40,000) = .7 %, bound 5 of them."""
    values = tables.init(jax.random.key(0), {"a": Table(5_000, 8, scale=0.3), "b": Table(3, 4, buckets=2, unknown=5)})
    assert values["a"].shape == (5_001, 8)
    assert values["b"].shape == (7, 4)
    np.testing.assert_allclose(np.mean(np.sum(np.asarray(values["a"]) ** 2, -1)), 0.3**2, rtol=0.035)


def test_lookup_keeps_the_structure():
    specs = {"a": Table(7, 2)}
    values = {"a": jnp.arange(16.0).reshape(8, 2)}
    found = tables.lookup(specs, values, {"a": {"one": IDS[:, 0], "bag": IDS}})
    np.testing.assert_array_equal(found["a"]["one"], values["a"][jnp.array([0, 7])])
    np.testing.assert_array_equal(found["a"]["bag"], values["a"][jnp.array([[0, 2, 6], [7, 7, 2]])])


@pytest.mark.parametrize("combine", ["mean", "sum", "sqrt_n"])
def test_a_bag_equals_its_list(combine):
    rng = np.random.default_rng(0)
    table, ids, where = rng.normal(size=(9, 3)).astype(np.float32), rng.integers(0, 9, (4, 5)), rng.random((4, 5)) < 0.5
    where[2] = False
    total = tables.bag(jnp.asarray(table), jnp.asarray(ids), jnp.asarray(where))
    found = tables.combine(total, jnp.asarray(where), combine)
    for one, listed, exists in zip(found, table[ids], where, strict=True):
        count = exists.sum()
        wanted = listed[exists].sum(0) / {"mean": max(count, 1), "sum": 1, "sqrt_n": np.sqrt(max(count, 1))}[combine]
        np.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 4), (4,), (6, 0)])
def test_a_bags_gradient_equals_that_of_all_its_rows(shape):
    """To 1e-5: it adds in another order."""
    rng = np.random.default_rng(1)
    table, ids = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32), jnp.asarray(rng.integers(0, 5, shape))
    where, out = jnp.asarray(rng.random(shape) < 0.7), jnp.asarray(rng.normal(size=(*shape[:-1], 3)), jnp.float32)

    def every(table):
        return jnp.sum(out * jnp.sum(jnp.where(where[..., None], table[ids], 0.0), axis=-2))

    found = jax.jit(jax.value_and_grad(lambda table: jnp.sum(out * tables.bag(table, ids, where))))(table)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, jax.value_and_grad(every)(table)
    )


def test_a_lookup_sums_its_bags():
    spec, bag = {"a": Table(7, 2)}, Bag(IDS, jnp.array([[True, False, True], [False, False, False]]))
    values = {"a": jnp.arange(16.0).reshape(8, 2)}
    found = tables.lookup(spec, values, {"a": {"bag": bag, "one": IDS[0]}})["a"]
    np.testing.assert_array_equal(found["bag"], [values["a"][0] + values["a"][6], [0.0, 0.0]])
    np.testing.assert_array_equal(found["one"], values["a"][IDS[0]])
    assert tables.reads(spec["a"], bag).tolist() == [0, 8, 6, 8, 8, 8]


def test_no_array_of_all_rows_of_all_bags_is_made():
    """[B L D] would be 2 MB; the temporaries of the value and the gradient stay below a quarter of it."""
    table, ids, where = jnp.zeros((50, 16)), jnp.zeros((256, 128), jnp.int32), jnp.ones((256, 128), bool)
    gradient = jax.jit(jax.grad(lambda table: jnp.sum(tables.bag(table, ids, where) ** 2)))
    assert gradient.lower(table).compile().memory_analysis().temp_size_in_bytes < 2**19


def test_padding_does_not_reach_a_bag_nor_its_gradient():
    table, ids = jnp.array([[1.0, 2.0], [jnp.inf, jnp.nan]]), jnp.array([0, 1])
    value, gradient = jax.value_and_grad(lambda table: tables.bag(table, ids, jnp.array([True, False])).sum())(table)
    assert value == 3.0
    assert gradient.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_adding_rows_is_the_transpose_of_looking_them_up():
    """To 1e-5: repeated rows are added in another order."""
    rng = np.random.default_rng(2)
    specs = {"a": Table(7, 2), "b": Table(50, 3, buckets=4)}
    values = tables.init(jax.random.key(0), specs)
    bag = Bag(jnp.asarray(rng.integers(-1, 9, (4, 5))), jnp.asarray(rng.random((4, 5)) < 0.5))
    ids = {"a": {"bag": bag, "one": IDS}, "b": {"two": jnp.array([5, tables.PADDING, 49, -1])}}
    rows, pull = jax.vjp(lambda values: tables.lookup(specs, values, ids), values)
    cotangent = jax.tree.map(lambda row: jnp.asarray(rng.normal(size=row.shape), jnp.float32), rows)
    found = tables.add(specs, jax.tree.map(jnp.ones_like, values), ids, cotangent)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 1 + b, rtol=1e-5, atol=1e-5), found, pull(cotangent)[0])
