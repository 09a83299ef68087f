"""Intervals hold the truth as often as they say, and the tests' limits are equal to what is known."""

import numpy as np
import pytest
import scipy.stats

from recjax import significance


@pytest.mark.parametrize("kind", ["hits", "gains"])
def test_an_interval_holds_the_true_difference_as_often_as_it_says(kind):
    """3,000 pairs of runs over 300 queries whose true difference is known.

    The bounds are quantiles of the binomial: where the true coverage is within .93 to .96 this fails with a probability
    below 1e-5 on either side, and where it is .89 or .985 it passes with one below 1e-3. (A percentile interval over
    300 queries covers a little less than .95.)
    """
    rng = np.random.default_rng(7)
    values = {"hits": np.array([-1.0, 0.0, 1.0]), "gains": np.array([-1.0, -0.63, -0.1, 0.0, 0.2, 0.5, 1.0])}[kind]
    chance = rng.dirichlet(np.full(len(values), 2.0))
    truth, trials = float(chance @ values), 3000
    held = 0
    for _ in range(trials):
        found = significance.bootstrap(rng.choice(values, 300, p=chance), resamples=500, seed=int(rng.integers(2**31)))
        held += found.low <= truth <= found.high
    low, high = scipy.stats.binom.ppf(1e-5, trials, 0.93), scipy.stats.binom.isf(1e-5, trials, 0.96)
    assert low <= held <= high


def test_the_bootstrap_is_that_of_scipy():
    """Whose resamples are of the queries themselves: the two agree to the noise of 10,000 resamples."""
    rng = np.random.default_rng(0)
    for differences in (rng.choice([-1.0, 0.0, 0.5, 1.0], 400), rng.normal(size=1500)):
        ours = significance.bootstrap(differences)
        theirs = scipy.stats.bootstrap(
            (differences,), np.mean, n_resamples=10_000, method="percentile", rng=1, batch=500
        ).confidence_interval
        width = theirs.high - theirs.low
        assert ours.mean == pytest.approx(differences.mean(), abs=1e-12)
        np.testing.assert_allclose((ours.low, ours.high), theirs, atol=0.03 * width)


def test_the_same_runs_do_not_differ_and_the_sides_can_be_exchanged():
    zero = significance.bootstrap(np.zeros(50))
    assert (zero.mean, zero.low, zero.high, zero.p, zero.noise) == (0.0, 0.0, 0.0, 1.0, True)
    always = significance.bootstrap(np.full(50, 0.25))
    assert (always.mean, always.low, always.high, always.noise) == (0.25, 0.25, 0.25, False)
    differences = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 500, p=[0.2, 0.5, 0.3])
    one, other = significance.bootstrap(differences), significance.bootstrap(-differences, seed=3)
    assert one.mean == -other.mean
    np.testing.assert_allclose((one.low, one.high), (-other.high, -other.low), atol=0.01)


def test_the_order_of_queries_and_the_number_of_values_do_not_matter():
    differences = np.random.default_rng(2).normal(size=3000)
    found = significance.bootstrap(differences)
    assert found == significance.bootstrap(np.sort(differences))
    normal = 1.96 * differences.std() / 3000**0.5
    np.testing.assert_allclose((found.low, found.high), (found.mean - normal, found.mean + normal), atol=0.05 * normal)


def test_the_paired_test_is_students():
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(size=(2, 5))
    assert significance.paired(ours, theirs) == scipy.stats.ttest_rel(ours, theirs).pvalue
    d = np.array([0.1, 0.2, 0.3])  # t = mean / (sd / sqrt 3) = .2 / (.1 / sqrt 3)
    expected = 2 * scipy.stats.t.sf(0.2 / (0.1 / 3**0.5), 2)
    assert significance.paired(d, np.zeros(3)) == pytest.approx(expected)
