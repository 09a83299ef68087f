"""Sampling variances against the variance over every possible sample."""

import itertools

import numpy as np
import pytest

from recjax import uncertainty
from recjax.uncertainty import Influence, Population

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("queries", "items", "some_queries", "some_items"), [(5, 4, 3, 2), (4, 4, 2, 4), (3, 5, 3, 3)])
def test_the_variance_of_a_grids_mean_is_unbiased(queries, items, some_queries, some_items):
    """Over all samples: the mean of the estimates equals the variance of the means, where nothing is cut at 0."""
    cells = 9.0 * RNG.normal(size=(queries, 1)) + 9.0 * RNG.normal(size=items) + RNG.normal(size=(queries, items))
    samples = [
        cells[np.ix_(rows, columns)]
        for rows in itertools.combinations(range(queries), some_queries)
        for columns in itertools.combinations(range(items), some_items)
    ]
    found = [uncertainty.grid(one, queries, items) for one in samples]
    assert min(found) > 0
    np.testing.assert_allclose(np.mean(found), np.var([one.mean() for one in samples]), rtol=1e-10)


def test_the_variance_of_a_simple_mean_is_unbiased():
    values = RNG.normal(size=7)
    samples = [values[list(some)] for some in itertools.combinations(range(7), 3)]
    found = np.mean([uncertainty.mean(one, 7) for one in samples])
    np.testing.assert_allclose(found, np.var([one.mean() for one in samples]), rtol=1e-10)


def test_what_is_looked_at_whole_has_no_error():
    influence = Influence(RNG.normal(size=(4, 6)), RNG.normal(size=9))
    assert uncertainty.standard_error(influence, Population(4, 6, 9)) == 0
    assert uncertainty.standard_error(influence, Population(5, 6, 9)) > 0


@pytest.mark.parametrize(("queries", "items"), [(4, 6), (1, 6), (4, 1)])
def test_one_of_several_tells_nothing_of_the_others(queries, items):
    cells = RNG.normal(size=(4, 6))
    one = uncertainty.grid(cells[: min(queries, 4), : min(items, 6)][:1], 4, 6)
    other = uncertainty.grid(cells[:, :1], 4, 6)
    assert np.isnan(one) and np.isnan(other)


def test_one_query_that_is_all_has_the_error_of_its_items():
    cells = RNG.normal(size=(1, 6))
    assert uncertainty.grid(cells, 1, 9) == pytest.approx(uncertainty.mean(cells[0], 9), rel=1e-12)


def test_a_grid_does_not_depend_on_its_precision():
    cells = RNG.normal(3, 1, (50, 40))
    one, other = (uncertainty.grid(cells.astype(kind), 100, 100) for kind in (np.float32, np.float64))
    np.testing.assert_allclose(one, other, rtol=1e-3)
