"""How far each sampled pair moves the measures of `recjax.folding`, for their standard errors.

Each function takes what the measure takes and gives an `uncertainty.Influence`; the measure's own value need not be
taken off, since a variance does not see it.
"""

import numpy as np

from recjax import folding
from recjax.uncertainty import Influence

BINS = 4096


def auc(observed: np.ndarray, cells: np.ndarray, where: np.ndarray | None = None) -> Influence:
    """Of `folding.auc(observed, cells)`, or of that over the cells that `where` [B C] names."""
    above = _share_above(observed, cells)
    other = np.sort(cells.reshape(-1) if where is None else cells[where])
    below = np.searchsorted(other, observed, side="left") + np.searchsorted(other, observed, side="right")
    if where is not None:
        above = np.where(where, above - above[where].mean(), 0) / np.float32(where.mean())
    return Influence(above, below / (2 * len(other)))


def _share_above(observed: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """[B C]: the share of observed scores above each cell's, from a table: a search for each cell takes far longer."""
    low, high = float(observed.min()), float(observed.max())
    edges = np.linspace(low, high, BINS)
    table = 1.0 - np.searchsorted(np.sort(observed), edges) / len(observed)
    place = (cells - low) * ((BINS - 1) / max(high - low, 1e-30)) + 0.5
    place = np.clip(place, -1.0, BINS).astype(np.int32)
    # Below all of them the share is 1, above all of them it is 0.
    return np.concatenate([[1.0], table, [0.0]]).astype(np.float32)[place + 1]


def excess(
    scores: np.ndarray, related: np.ndarray, *, observed_scores: np.ndarray, observed_related: np.ndarray
) -> Influence:
    """Of the mean of `folding.excess`, which two means over observed pairs scale."""
    mean, related_mean = float(np.mean(observed_scores)), float(np.mean(observed_related))
    cells = np.maximum(0, scores / mean - related / related_mean)
    over = cells > 0
    by_mean = float(np.vdot(scores, over)) / scores.size / mean**2
    by_related = float(np.vdot(related, over)) / scores.size / related_mean**2
    return Influence(cells, by_related * observed_related - by_mean * observed_scores)


def random_score_quantiles(
    observed: np.ndarray, random: np.ndarray, shares: tuple[float, ...] = folding.SHARES
) -> dict[str, Influence]:
    """Of each of `folding.random_score_quantiles`; a quantile moves by the density of scores around it."""
    ordered, found = np.sort(random.reshape(-1)), {}
    center = float(np.mean(ordered, dtype=np.float64))
    gap = float(np.mean(observed, dtype=np.float64)) - center
    for share in shares:
        width = min(share, 1 - share) / 4
        low, value, high = (float(np.quantile(ordered, one)) for one in (share - width, share, share + width))
        spread = (high - low) / (2 * width)  # 1 / density
        at = (value - center) / gap
        cells = (np.float32(at - 1) * random - np.float32(spread) * (random <= value)) / np.float32(gap)
        found[folding.quantile_name(share)] = Influence(cells, -at / gap * observed)
    return found


def cross_group_excess(scores: np.ndarray, cross: np.ndarray, median: np.ndarray) -> Influence:
    """Of `folding.cross_group_excess`. No observed pairs are in it.

    A query's median moves by the density of its own group's scores around it, which is taken to have one form for all
    queries, in units of a query's own spread.
    """
    usable, single = np.isfinite(median), np.float32
    far = scores - np.where(usable, median, 0).astype(single)[:, None]
    own, cross = (part & usable[:, None] for part in (~cross, cross))
    of_own, of_cross = np.abs(far) * own, np.maximum(0, far) * cross
    own_share, cross_share = own.mean(1), cross.mean()
    unit = of_own.mean() / own.mean()
    value = of_cross.mean() / cross_share / unit
    spread = of_own.mean(1) / np.maximum(own_share, 1e-30)
    density = np.mean((of_own < (spread / 4).astype(single)[:, None]) & own) / own.mean() / 0.5
    over = np.mean(of_cross > 0, axis=1)
    by_median = over * spread / (density * np.maximum(own_share, 1e-30)) / cross_share
    cells = (of_cross - single(value * unit) * cross) / single(cross_share)
    cells -= (of_own - single(unit) * own) * single(value / own.mean())
    cells += by_median.astype(single)[:, None] * own * ((far <= 0) - single(0.5))
    return Influence(cells / single(unit), np.zeros(2))
