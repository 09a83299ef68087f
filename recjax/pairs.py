"""Scores of sampled pairs, and what they tell of folding."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from recjax import evaluate, folding
from recjax.errors import InputError
from recjax.types import Dataset


class PairScores(NamedTuple):
    """Scores of sampled pairs: known interactions, and random queries by random items."""

    observed: np.ndarray  # [E']
    random: np.ndarray  # [B C]
    observed_pairs: tuple[np.ndarray, np.ndarray]  # rows of the ranking, items
    queries: np.ndarray  # [B] rows of the ranking
    items: np.ndarray  # [C]


def sample(ranking: evaluate.Ranking, known: Dataset, score: Callable, size: int) -> PairScores:
    """Scores of `size` random queries by `size` random items, and of up to 16 · size known interactions.

    The pairs are the same for every model of a data set.
    """
    rng = np.random.default_rng(0)
    row_of = np.full(len(known.vocabularies["query"]), -1)
    row_of[ranking.query] = np.arange(len(ranking.query))
    rows, items = row_of[known.interactions.query], known.interactions.item
    usable = np.flatnonzero(rows >= 0)
    chosen = rng.choice(usable, min(len(usable), 16 * size), replace=False)
    some_queries = rng.choice(len(ranking.query), min(len(ranking.query), size), replace=False)
    some_items = rng.choice(ranking.items.shape[0], min(ranking.items.shape[0], size), replace=False)
    with jax.default_matmul_precision("highest"):
        observed = score(ranking.queries[rows[chosen]], ranking.items[items[chosen]][:, None, :])[:, 0]
        random = score(ranking.queries[some_queries], ranking.items[some_items])
    return PairScores(
        np.asarray(observed, np.float64),
        np.asarray(random, np.float64),
        (rows[chosen], items[chosen]),
        some_queries,
        some_items,
    )


def measure(
    pairs: PairScores, ranking: evaluate.Ranking, known: Dataset, factors: tuple[np.ndarray, np.ndarray]
) -> tuple[dict[str, float], dict[str, str]]:
    """The folding measures of sampled pairs, and by name the reason why one was refused."""
    left, right = factors[0][ranking.query], factors[1]
    rows, items = pairs.observed_pairs
    related, observed_related = left[pairs.queries] @ right[pairs.items].T, np.sum(left[rows] * right[items], axis=-1)

    def excess() -> dict[str, float]:
        one = folding.excess(pairs.random, related, observed_scores=pairs.observed, observed_related=observed_related)
        return {"folding_excess": float(np.mean(one))}

    found, refused = {"random_pair_auc": folding.auc(pairs.observed, pairs.random.reshape(-1))}, {}
    for name, one in (
        ("folding_excess", excess),
        ("random_score", lambda: folding.random_score_quantiles(pairs.observed, pairs.random)),
    ):
        try:
            found |= one()
        except InputError as error:
            refused[name] = str(error)
    if known.groups is not None:
        cross = known.groups.query[ranking.query[pairs.queries]][:, None] != known.groups.item[pairs.items]
        if cross.any():
            found["cross_group_auc"] = folding.auc(pairs.observed, pairs.random[cross])
    return found, refused
