"""Folding measures against their dense definitions."""

import numpy as np
import pytest

from recjax import folding
from recjax.errors import InputError

RNG = np.random.default_rng(0)


def test_excess_equals_its_definition():
    scores, related = RNG.normal(2, 1, (5, 7)), RNG.normal(1, 1, (5, 7))
    found = folding.excess(scores, related, observed_scores=np.array([3.0, 5.0]), observed_related=np.array([1.0, 3.0]))
    wanted = [
        np.mean([max(0, s / 4 - r / 2) for s, r in zip(*row, strict=True)]) for row in zip(scores, related, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_excess_does_not_depend_on_the_scale_of_scores():
    scores, related = RNG.normal(size=(5, 7)), RNG.normal(size=(5, 7))
    one = folding.excess(scores, related, observed_scores=scores[0] ** 2, observed_related=np.ones(1))
    other = folding.excess(9 * scores, related, observed_scores=9 * scores[0] ** 2, observed_related=np.ones(1))
    np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("observed", [[-1.0, -2.0], [1.0, -1.0], [0.0, 0.0], [10.0, -9.5]])
def test_scores_without_a_clearly_positive_mean_are_refused(observed):
    with pytest.raises(InputError, match="folding_excess: the mean score of observed pairs is"):
        folding.excess(
            np.ones((1, 1)), np.ones((1, 1)), observed_scores=np.array(observed), observed_related=np.ones(1)
        )


def test_relatedness_is_the_best_approximation_of_its_rank(split):
    left, right = folding.factors(split.train, 5)
    dense = np.zeros((120, 120))
    dense[split.train.interactions.query, split.train.interactions.item] = 1.0
    u, values, v = np.linalg.svd(dense)
    np.testing.assert_allclose(left @ right.T, (u[:, :5] * values[:5]) @ v[:5], atol=1e-4)


def test_auc_equals_counting_pairs():
    observed, other = RNG.integers(0, 9, 40).astype(float), RNG.integers(0, 9, 30).astype(float)
    wanted = np.mean([(a > b) + 0.5 * (a == b) for a in observed for b in other])
    np.testing.assert_allclose(folding.auc(observed, other), wanted, rtol=1e-12)


def test_quantiles_know_neither_shift_nor_scale():
    observed, random = RNG.normal(3, 1, 50), RNG.normal(0, 1, (8, 9))
    one, other = (
        folding.random_score_quantiles(observed, random),
        folding.random_score_quantiles(5 * observed - 7, 5 * random - 7),
    )
    assert one == pytest.approx(other, rel=1e-9)
    wanted = (np.quantile(random, 0.9) - random.mean()) / (observed.mean() - random.mean())
    assert one["random_score_q90"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("shift", [0.0, -1.0, 0.09])
def test_quantiles_without_a_unit_are_refused(shift):
    random = RNG.normal(0, 1, 100)
    with pytest.raises(InputError, match=r"random_score: observed pairs score .* above random ones"):
        folding.random_score_quantiles(np.array([random.mean() + shift * random.std()]), random)


def test_cross_group_share_ignores_missing_items():
    ids, query_group, item_group = (
        np.array([[0, 1, 2], [2, -1, -1], [-1, -1, -1]]),
        np.array([0, 0, 1]),
        np.array([0, 1, 1]),
    )
    np.testing.assert_allclose(folding.cross_group_share(ids, query_group, item_group), [2 / 3, 1.0, 0.0])


def test_cross_group_excess_equals_its_definition():
    scores, query_group, item_group = RNG.normal(size=(6, 9)), RNG.integers(0, 3, 6), np.arange(9) % 3
    cross = query_group[:, None] != item_group
    median = folding.own_group_median(scores, query_group, item_group)
    np.testing.assert_allclose(median, [np.median(row[~other]) for row, other in zip(scores, cross, strict=True)])
    far = scores - median[:, None]
    wanted = np.mean(np.maximum(0, far[cross])) / np.mean(np.abs(far[~cross]))
    assert folding.cross_group_excess(scores, cross, median) == pytest.approx(wanted, rel=1e-12)
    moved = folding.cross_group_excess(7 * scores - 3, cross, 7 * median - 3)
    assert moved == pytest.approx(wanted, rel=1e-9)


def test_cross_group_excess_leaves_out_queries_whose_group_has_no_item():
    scores, item_group = RNG.normal(size=(3, 6)), np.array([0, 0, 0, 1, 1, 1])
    median = folding.own_group_median(scores, np.array([0, 1, 2]), item_group)
    assert np.isnan(median).tolist() == [False, False, True]
    cross = np.array([0, 1, 2])[:, None] != item_group
    two = folding.cross_group_excess(scores[:2], cross[:2], median[:2])
    assert folding.cross_group_excess(scores, cross, median) == pytest.approx(two, rel=1e-12)


def test_cross_group_excess_without_a_usable_pair_is_refused():
    scores, cross = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[False, False], [True, True]])
    with pytest.raises(InputError, match="cross_group_excess: no sampled query with items of its own group has one"):
        folding.cross_group_excess(scores, cross, np.array([1.5, np.nan]))


def test_cross_group_excess_without_a_unit_is_refused():
    cross = np.array([[False, True], [True, False]])
    with pytest.raises(InputError, match="cross_group_excess: for each query all sampled items of its own group"):
        folding.cross_group_excess(np.ones((2, 2)), cross, np.ones(2))
