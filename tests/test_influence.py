"""The standard errors of folding measures, by drawing pairs again and again from a small world."""

import numpy as np
import pytest

from recjax import influence, pairs
from recjax.uncertainty import Population

RNG = np.random.default_rng(0)
QUERIES, ITEMS, KNOWN, SIZE, DRAWS = 800, 600, 6000, 120, 150
GROUP = RNG.integers(0, 3, QUERIES), RNG.integers(0, 3, ITEMS)
PLACE = RNG.normal(size=(3, 5))
SCORES = ((PLACE[GROUP[0]] + RNG.normal(size=(QUERIES, 5))) @ (PLACE[GROUP[1]] + RNG.normal(size=(ITEMS, 5))).T).astype(
    np.float32
)
RELATED = (SCORES / 4 + RNG.normal(size=SCORES.shape)).astype(np.float32)
MET = np.unravel_index(
    RNG.choice(SCORES.size, KNOWN, replace=False, p=np.exp(SCORES / 3).reshape(-1) / np.exp(SCORES / 3).sum()),
    SCORES.shape,
)


def look(rows, columns, met):
    related = RELATED[np.ix_(rows, columns)], RELATED[MET][met]
    groups = GROUP[0][rows], GROUP[1][columns]
    drawn = pairs.Pairs(None, *related, groups, Population(QUERIES, ITEMS, KNOWN))
    return pairs.measure(drawn, pairs.PairScores(SCORES[MET][met], SCORES[np.ix_(rows, columns)]))


@pytest.fixture(scope="module")
def truth():
    return look(np.arange(QUERIES), np.arange(ITEMS), np.arange(KNOWN))


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(1)
    sizes = (QUERIES, SIZE), (ITEMS, SIZE), (KNOWN, 16 * SIZE)
    return [look(*(rng.choice(whole, some, replace=False) for whole, some in sizes)) for _ in range(DRAWS)]


MEASURES = [
    "random_pair_auc", "folding_excess", "random_score_q50", "random_score_q90", "random_score_q99",
    "cross_group_auc", "cross_group_excess",
]  # fmt: skip


def test_every_measure_of_pairs_has_an_error(truth):
    assert sorted(truth.found) == sorted(truth.error) == sorted(MEASURES)
    assert truth.refused == {}


@pytest.mark.parametrize("name", MEASURES)
def test_two_standard_errors_hold_the_truth_as_often_as_they_should(name, truth, draws):
    """Each half fails with a probability of about 1e-4 where errors are right and estimates normal.

    130 of 150 is 4.5 standard deviations below 95 % of them; the ratio's logarithm has a standard deviation of .12, and
    .47 is allowed. Smaller samples do less well: of 40 by 40 pairs the 99 % quantile's error holds the truth in 84 %.
    """
    assert truth.error[name] == 0
    found, error = (np.array([getattr(one, part)[name] for one in draws]) for part in ("found", "error"))
    assert np.sum(np.abs(found - truth.found[name]) < 1.96 * error) >= 130
    assert abs(np.log(np.mean(error**2) / np.var(found))) < 0.47


def test_an_aucs_table_is_as_good_as_counting():
    observed, cells = RNG.normal(1, 1, 500).astype(np.float32), RNG.normal(size=(30, 20)).astype(np.float32)
    wanted = np.mean(observed[:, None, None] > cells, axis=0)
    np.testing.assert_allclose(influence.auc(observed, cells).cells, wanted, atol=0.005)
