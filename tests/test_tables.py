"""Tables: which row an id reads, and bags."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import tables
from recjax.tables import Table

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
    rows, where = rng.normal(size=(4, 5, 3)).astype(np.float32), rng.random((4, 5)) < 0.5
    where[2] = False
    found = tables.bag(jnp.asarray(rows), jnp.asarray(where), combine)
    for one, listed, exists in zip(found, rows, where, strict=True):
        count = exists.sum()
        wanted = listed[exists].sum(0) / {"mean": max(count, 1), "sum": 1, "sqrt_n": np.sqrt(max(count, 1))}[combine]
        np.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-7)


def test_padding_does_not_reach_a_bag_nor_its_gradient():
    rows = jnp.array([[1.0, 2.0], [jnp.inf, jnp.nan]])
    value, gradient = jax.value_and_grad(lambda rows: tables.bag(rows, jnp.array([True, False])).sum())(rows)
    assert value == 3.0
    assert gradient.tolist() == [[1.0, 1.0], [0.0, 0.0]]
