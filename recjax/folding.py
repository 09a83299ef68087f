"""Folding: do items that have nothing to do with a query get high scores?

Groups that never interact may land in the same region of the embedding space; positives alone do not forbid it.
"""

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from recjax.errors import InputError
from recjax.types import Dataset

SHARES = (0.5, 0.9, 0.99)
CLEAR = 0.1  # a mean below this share of the spread that it is compared with is not clearly positive
RELATED = 1e-6  # what observed pairs are related on average, at least: below is rounding


def factors(dataset: Dataset, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Factors [M rank], [N rank] whose products say how related each pair is: the interaction matrix, smoothed.

    Its best approximation of that rank (truncated SVD).
    Source: Xin et al. 2017 (folding: why good models sometimes make spurious recommendations).
    """
    shape = len(dataset.vocabularies["query"]), len(dataset.vocabularies["item"])
    query, item, weight, _ = dataset.interactions
    matrix = scipy.sparse.csr_array((np.asarray(weight, np.float64), (query, item)), shape=shape)
    start = np.random.default_rng(0).normal(size=min(shape))
    left, values, right = scipy.sparse.linalg.svds(matrix, k=min(rank, min(shape) - 1), v0=start)
    return (left * values).astype(np.float32), right.T.astype(np.float32)


def excess(
    scores: np.ndarray, related: np.ndarray, *, observed_scores: np.ndarray, observed_related: np.ndarray
) -> np.ndarray:
    """[B]: the mean over items [B C] of max(0, score - relatedness), each divided by its mean over observed pairs.

    Source: Xin et al. 2017; the common scale is ours.

    Raises:
        InputError: the scores' mean over observed pairs is not clearly positive, or their mean relatedness is not (cold
            queries, of which nothing is known): then the form has no scale.

    >>> scores, related = np.array([[1.0, 3.0]]), np.array([[2.0, 2.0]])
    >>> excess(scores, related, observed_scores=np.array([2.0]), observed_related=np.array([2.0])).tolist()
    [0.25]
    """
    mean = float(np.mean(observed_scores, dtype=np.float64))
    size = float(np.sqrt(np.mean(observed_scores**2, dtype=np.float64)))
    if not mean > CLEAR * size:
        raise InputError(
            f"folding_excess: the mean score of observed pairs is {mean:.4g} and their root mean square {size:.4g}; "
            f"wanted a mean above {CLEAR} of it. The other folding measures stand"
        )
    if not float(np.mean(observed_related)) > RELATED:
        raise InputError("folding_excess: no observed pair is related to anything known; wanted queries with a history")
    return np.mean(np.maximum(0.0, scores / mean - related / float(np.mean(observed_related))), axis=-1)


def cross_group_share(ids: np.ndarray, query_group: np.ndarray, item_group: np.ndarray) -> np.ndarray:
    """[B]: the share of each query's retrieved items [B K] (-1: none) that belong to another group.

    >>> cross_group_share(np.array([[0, 1, -1]]), np.array([7]), np.array([7, 8])).tolist()
    [0.5]
    """
    found = ids >= 0
    other = found & (item_group[np.where(found, ids, 0)] != query_group[:, None])
    return other.sum(1) / np.maximum(found.sum(1), 1)


def auc(observed: np.ndarray, other: np.ndarray) -> float:
    """The probability that an observed pair scores above another pair; ties count half.

    >>> auc(np.array([2.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    other = np.sort(other)
    below = np.searchsorted(other, observed, side="left") + np.searchsorted(other, observed, side="right")
    return float(np.mean(below) / (2 * len(other)))


def random_score_quantiles(
    observed: np.ndarray, random: np.ndarray, shares: tuple[float, ...] = SHARES
) -> dict[str, float]:
    """Quantiles of random pairs' scores, where 0 is their mean and 1 the mean over observed pairs.

    Free of the scores' shift and scale, so that any two models compare. A 99 % quantile above 1 says that one
    random pair in a hundred outscores the average observed pair.

    Raises:
        InputError: the observed mean is not clearly above the random one: then there is no unit.

    >>> random_score_quantiles(np.array([3.0]), np.array([0.0, 1.0, 2.0]), (0.5, 1.0))
    {'random_score_q50': 0.0, 'random_score_q100': 0.5}
    """
    center, spread = np.mean(random, dtype=np.float64), np.std(random, dtype=np.float64)
    gap = np.mean(observed, dtype=np.float64) - center
    if not gap > CLEAR * spread:
        raise InputError(
            f"random_score: observed pairs score {gap:.4g} above random ones, whose standard deviation is "
            f"{spread:.4g}; wanted more than {CLEAR} of it. The other folding measures stand"
        )
    ordered = np.sort(random.reshape(-1))  # a quantile of a million numbers is found faster in order
    return {quantile_name(share): float((np.quantile(ordered, share) - center) / gap) for share in shares}


def quantile_name(share: float) -> str:
    return f"random_score_q{share * 100:g}"


def own_group_median(scores: np.ndarray, query_group: np.ndarray, item_group: np.ndarray) -> np.ndarray:
    """[B]: the median of each query's scores [B C] of its own group's items; NaN where none is among them.

    >>> own_group_median(np.array([[1.0, 2.0, 9.0]]), np.array([7]), np.array([7, 7, 8])).tolist()
    [1.5]
    """
    found = np.full(len(scores), np.nan)
    for group in np.unique(query_group):
        rows, own = np.flatnonzero(query_group == group), np.flatnonzero(item_group == group)
        if len(own):
            found[rows] = np.median(scores[np.ix_(rows, own)], axis=1)
    return found


def cross_group_excess(scores: np.ndarray, cross: np.ndarray, median: np.ndarray) -> float:
    """The mean over cross-group pairs of max(0, score - the query's own-group median), in units of own-group spread.

    The unit is the mean distance of own-group scores from their median. So 0 says that every item of another group is
    below the middle of the own, and 1/2 that other groups' items score as the own group's do. It knows neither shift
    nor scale.

    Args:
        cross: [B C], whether a pair is of different groups.
        median: `own_group_median`; queries where it is NaN are left out.

    Raises:
        InputError: all own-group items have one score for each query: then there is no unit; or no pair is left.

    >>> cross_group_excess(np.array([[1.0, 2.0, 3.0]]), np.array([[False, False, True]]), np.array([1.5]))
    3.0
    """
    usable = np.isfinite(median)[:, None]
    far = np.where(usable, scores - median[:, None], 0.0)
    own, cross = usable & ~cross, usable & cross
    if not cross.any():
        raise InputError(
            "cross_group_excess: no sampled query with items of its own group has one of another; wanted more pairs: "
            "type --config.evaluate.pairs=1024. The other folding measures stand"
        )
    unit = np.sum(np.abs(far), where=own) / max(np.sum(own), 1)
    if not unit > 0:
        raise InputError(
            "cross_group_excess: for each query all sampled items of its own group have one score; wanted different "
            "ones. The other folding measures stand"
        )
    return float(np.sum(np.maximum(0.0, far), where=cross) / np.sum(cross) / unit)
