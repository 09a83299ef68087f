"""The report of a run, part by part."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from recjax import diagnose

RNG = np.random.default_rng(0)


def test_collapse_equals_comparing_all_pairs_of_lists():
    ids = np.stack([RNG.permutation(12)[:5] for _ in range(7)])
    wanted = np.mean([len(set(one) & set(two)) / 5 for one, two in itertools.combinations(ids.tolist(), 2)])
    assert diagnose.collapse(ids) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [([[1, 2], [2, 1]], 1.0), ([[1, 2], [3, 4]], 0.0), ([[-1, -1], [-1, -1]], 0.0), ([[1, 2]], 0.0)],
)
def test_collapse_at_its_ends(ids, wanted):
    assert diagnose.collapse(np.array(ids)) == wanted


def test_popularity_shares_count_what_is_there():
    count = RNG.permutation(200)
    items = RNG.integers(-1, 200, 999)
    found = diagnose.popularity_share(items, count)
    for name, share in (("top 1 %", 2), ("top 10 %", 20)):
        assert found[name] == np.mean(count[items[items >= 0]] >= 200 - share)


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_rows_that_training_left_as_they_were_are_dead(kind):
    before = {"item": jnp.asarray(RNG.normal(size=(8, 3)), kind), "year": jnp.ones((4, 2), kind)}
    after = before["item"].at[1].multiply(1.01).at[2].set(0.0).at[3, 1].add(0.5).at[4].set(before["item"][4, ::-1])
    after = {"item": after.at[7].set(0.0), "year": before["year"].at[0].add(1.0)}
    found = diagnose.dead_rows(diagnose.fingerprints(before), after, {"item": np.arange(7)})
    assert found == {"item": pytest.approx(4 / 7), "year": 0.75}  # rows 0, 2, 5 and 6; row 7 is for unknown ids


def test_fingerprints_of_different_rows_differ():
    """Of a million pairs of rows, two alike have a probability of 2e-4; the seed is fixed."""
    rows = jnp.asarray(RNG.normal(size=(1500, 8)), jnp.float32)
    assert len(np.unique(np.asarray(diagnose.fingerprints({"item": rows})["item"]))) == 1500
