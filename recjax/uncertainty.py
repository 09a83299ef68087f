"""How far an estimate over sampled pairs may be from what all pairs would give: its sampling variance.

Only the choice of pairs is random here. The model, its training and its data are as they are.
"""

from typing import NamedTuple

import numpy as np


class Influence(NamedTuple):
    """How far each sampled pair moves an estimate: the estimate's error is about the sum of the two means' errors.

    Source: Hampel 1974 (the influence curve); for the AUC it is the projection of Hájek 1968.
    """

    cells: np.ndarray  # [B C], of random queries by random items
    observed: np.ndarray  # [n], of known interactions


class Population(NamedTuple):
    """What was sampled from, without replacement: what is looked at whole has no sampling error."""

    queries: int
    items: int
    interactions: int


def standard_error(influence: Influence, population: Population) -> float:
    """The square root of the two samples' variances; they are drawn independently."""
    cells = grid(influence.cells, population.queries, population.items)
    return float(np.sqrt(cells + mean(influence.observed, population.interactions)))


def grid(cells: np.ndarray, queries: int, items: int) -> float:
    """The variance of a mean over [B C], B of the queries and C of the items being drawn without replacement.

    With a = 1/B - 1/queries, c = 1/C - 1/items, and s² the variances of the rows' means, of the columns' means and of
    what both leave unexplained, a s²_rows + c s²_columns - a c s²_rest is unbiased, but for being cut at 0: the
    variance is a S²_rows + c S²_columns + a c S²_rest, and the means of sampled rows and columns hold S²_rest too.
    NaN where one row stands for several, or one column: nothing is known then of how they differ.

    >>> grid(np.array([[1.0, 2.0], [3.0, 6.0]]), queries=4, items=2)  # only the queries are sampled: (1/2 - 1/4) 4.5
    1.125
    """
    size = cells.shape
    rows, columns = cells.mean(1, dtype=np.float64), cells.mean(0, dtype=np.float64)
    center = rows.mean()
    of_rows, of_columns = np.sum((rows - center) ** 2), np.sum((columns - center) ** 2)
    flat = (cells - cells.dtype.type(center)).reshape(-1)
    rest = float(np.dot(flat, flat)) - size[1] * of_rows - size[0] * of_columns
    if any(taken == 1 < of for taken, of in zip(size, (queries, items), strict=True)):
        return float("nan")
    by_queries, by_items = (
        (1 / taken - 1 / of) / max(taken - 1, 1) for taken, of in zip(size, (queries, items), strict=True)
    )
    return float(max(0.0, by_queries * of_rows + by_items * of_columns - by_queries * by_items * rest))


def mean(values: np.ndarray, population: int) -> float:
    """The variance of a mean of values [n] that are drawn without replacement.

    >>> mean(np.array([1.0, 3.0]), population=4)  # (1/2 - 1/4) 2
    0.5
    """
    return float((1 / len(values) - 1 / population) * np.var(values, ddof=1))
