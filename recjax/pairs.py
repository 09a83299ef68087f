"""Folding measured on sampled pairs of a held-out part, each measure with the standard error of the sampling.

The pairs are drawn once, the same for every model of a data set; what they cost at an evaluation is their scores and
some passes over them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from recjax import evaluate, folding, influence, uncertainty
from recjax.errors import InputError
from recjax.types import HeldOut
from recjax.uncertainty import Influence, Population


class Places(NamedTuple):
    """Where the pairs are: rows of a ranking's queries, and items."""

    observed_rows: np.ndarray  # [n], known interactions
    observed_items: np.ndarray  # [n]
    queries: np.ndarray  # [B] rows, by
    items: np.ndarray  # [C]


class Pairs(NamedTuple):
    """Known interactions of judged queries, and random judged queries by random items, with what is known of them."""

    places: Places
    related: np.ndarray  # [B C]
    observed_related: np.ndarray  # [n]
    groups: tuple[np.ndarray, np.ndarray] | None  # of the queries [B] and the items [C]
    population: Population


class PairScores(NamedTuple):
    observed: np.ndarray  # [n]
    random: np.ndarray  # [B C]


class Measured(NamedTuple):
    """Measures by name, their standard errors, and the reasons why some were refused."""

    found: dict[str, float]
    error: dict[str, float]
    refused: dict[str, str]


def draw(held: HeldOut, factors: tuple[np.ndarray, np.ndarray], size: int) -> Pairs:
    """`size` random queries by `size` random items, and up to 16 · size known interactions.

    Args:
        factors: a query's and an item's, whose products say how related they are; see `relatedness`.
    """
    rng, known, judged = np.random.default_rng(0), held.known, np.unique(held.relevant.query)
    row_of, items = np.full(len(known.vocabularies["query"]), -1), len(known.vocabularies["item"])
    row_of[judged] = np.arange(len(judged))
    observed, rows = known.interactions, row_of[known.interactions.query]
    if not np.any(rows >= 0):  # of cold queries nothing is known: what is relevant stands in for it
        observed, rows = held.relevant, row_of[held.relevant.query]
    usable = np.flatnonzero(rows >= 0)
    chosen = rng.choice(usable, min(len(usable), 16 * size), replace=False)
    some_queries = rng.choice(len(judged), min(len(judged), size), replace=False)
    some_items = rng.choice(items, min(items, size), replace=False)
    places = Places(rows[chosen], observed.item[chosen], some_queries, some_items)
    left, right = factors[0][judged], factors[1]
    observed_related = np.sum(left[places.observed_rows] * right[places.observed_items], axis=-1)
    groups = None
    if known.groups is not None:
        groups = known.groups.query[judged[some_queries]], known.groups.item[some_items]
    population = Population(len(judged), items, len(usable))
    return Pairs(places, left[some_queries] @ right[some_items].T, observed_related, groups, population)


def scorer(score: Callable[[Array, Array], Array]) -> Callable[[Array, Array, Places], tuple[Array, Array]]:
    """Builds (queries [Q D], items [N D], places) -> the scores of the pairs, for jax.jit."""

    def scores(queries, items, places: Places):
        with jax.default_matmul_precision("highest"):
            observed = score(queries[places.observed_rows], items[places.observed_items][:, None, :])[:, 0]
            return observed, score(queries[places.queries], items[places.items])

    return scores


def score(pairs: Pairs, ranking: evaluate.Ranking, scores: Callable) -> PairScores:
    """The pairs' scores in a ranking, by a (compiled) scorer."""
    return PairScores(*map(np.asarray, scores(ranking.queries, ranking.items, pairs.places)))


def measure(pairs: Pairs, scores: PairScores) -> Measured:
    """The folding measures of a model's scores."""
    observed, random = scores
    related = {"observed_scores": observed, "observed_related": pairs.observed_related}
    measured = Measured({}, {}, {})

    def note(values: dict[str, float], influences: dict[str, Influence]) -> None:
        measured.found.update(values)
        errors = {name: uncertainty.standard_error(one, pairs.population) for name, one in influences.items()}
        measured.error.update(errors)

    def excess() -> None:
        value = folding.excess(random, pairs.related, **related)
        moved = influence.excess(random, pairs.related, **related)
        note({"folding_excess": float(np.mean(value))}, {"folding_excess": moved})

    def random_score() -> None:
        values = folding.random_score_quantiles(observed, random)
        note(values, influence.random_score_quantiles(observed, random))

    def cross_group_excess() -> None:
        median = folding.own_group_median(random, *groups)
        value = folding.cross_group_excess(random, cross, median)
        note({"cross_group_excess": value}, {"cross_group_excess": influence.cross_group_excess(random, cross, median)})

    wanted = {"folding_excess": excess, "random_score": random_score}
    auc = folding.auc(observed, random.reshape(-1))
    note({"random_pair_auc": auc}, {"random_pair_auc": influence.auc(observed, random)})
    if pairs.groups is not None:
        groups = pairs.groups
        cross = groups[0][:, None] != groups[1]
        if cross.any():
            auc = folding.auc(observed, random[cross])
            note({"cross_group_auc": auc}, {"cross_group_auc": influence.auc(observed, random, cross)})
            wanted["cross_group_excess"] = cross_group_excess
    for name, one in wanted.items():
        try:
            one()
        except InputError as error:
            measured.refused[name] = str(error)
    return measured
