"""Whether a difference is more than noise: over queries by a paired bootstrap, over seeds by a paired t-test."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.stats

RESAMPLES = 10_000
LEVEL = 0.95
STEPS = 500
LOWER = ("cross_group_share", "cross_group_excess", "folding_excess")
NEITHER = (
    "coverage",
    "mean_popularity",
    "near_ties",
    "random_score_q50",
    "random_score_q90",
    "random_score_q99",
)


class Interval(NamedTuple):
    """A mean difference, and what else it might have been."""

    mean: float
    low: float
    high: float
    p: float  # two-sided

    @property
    def noise(self) -> bool:
        """Whether the interval holds 0."""
        return self.low <= 0.0 <= self.high


def direction(metric: str) -> int:
    """1: more is better, -1: less is, 0: neither by itself.

    >>> [direction(one) for one in ("sampled_ndcg@10", "cross_group_share@10", "coverage@10")]
    [1, -1, 0]
    """
    name = metric.split("@", maxsplit=1)[0]
    return 0 if name in NEITHER else -1 if name in LOWER else 1


def bootstrap(differences: np.ndarray, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Interval:
    """The percentile interval of a mean over queries [Q], each of which is one query's difference.

    A bootstrap sample says how often each query is drawn. Metrics have few different values, so it is enough to draw
    how often each *value* is: the same distribution, at the cost of the values and not of the queries. More than 500
    values are rounded to 500 steps of their range, which keeps the mean and, but for some 1e-5 of it, the variance.

    Source: Sakai 2006 (evaluating evaluation metrics based on the bootstrap), section 3.

    >>> bootstrap(np.array([1.0, -1.0] * 200 + [1.0] * 100))
    Interval(mean=0.2, low=0.116, high=0.284, p=0.00019998000199980003)
    """
    values, counts = _steps(np.asarray(differences, np.float64))
    size = len(differences)
    means = np.random.default_rng(seed).multinomial(size, counts / size, resamples) @ values / size
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    tail = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    p = min(1.0, 2 * (tail + 1) / (resamples + 1))
    return Interval(float(counts @ values / size), float(low), float(high), float(p))


def intervals(metrics: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """Where each mean over queries [Q] may lie, by 95 %: the lowest and the highest.

    >>> intervals({"recall@10": np.array([1.0, 0.0] * 200)})
    {'recall@10': [0.4525, 0.55]}
    """
    return {name: list(bootstrap(value)[1:3]) for name, value in metrics.items()}


def _steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values, and how often each is."""
    found, counts = np.unique(values, return_counts=True)
    if len(found) <= STEPS:
        return found, counts
    step = np.minimum(((found - found[0]) / (found[-1] - found[0]) * STEPS).astype(np.int64), STEPS - 1)
    together = np.bincount(step, counts, STEPS)
    sums, some = np.bincount(step, counts * found, STEPS), together > 0
    return sums[some] / together[some], together[some].astype(np.int64)


def paired(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The two-sided p of Student's t-test of differences, one a seed [S]; equal differences leave no doubt.

    >>> print(f"{paired(np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.4, 0.4])):.4f}")
    0.0742
    >>> paired(np.array([0.5, 0.5]), np.array([0.4, 0.4])), paired(np.array([0.5, 0.6]), np.array([0.5, 0.6]))
    (0.0, 1.0)
    """
    differences = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    if np.ptp(differences) <= 1e-12 * max(1.0, float(np.abs(differences).max())):
        return float(abs(differences[0]) <= 1e-12)
    return float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)
