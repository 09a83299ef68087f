"""The worst offenders: retrieved items that have nothing to do with their query, by name."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from recjax import evaluate, interactions, names
from recjax.pairs import Pairs
from recjax.relatedness import Factors
from recjax.types import Dataset

MOST = 100


def columns(known: Dataset) -> list[str]:
    """The names of a row's values."""
    return ["query", *names.item_columns(known), "rank", "score", "relatedness", "popularity", "why"]


def worst(
    ranking: evaluate.Ranking, known: Dataset, factors: Factors, pairs: Pairs, score: Callable[[Array, Array], Array]
) -> list[dict[str, Any]]:
    """For each query the spurious item that stands highest in its list; of these the highest, then the least related.

    Spurious is an item of another group. Where no groups are known: one that is no more related to its query than the
    middle one of random pairs is.

    Returns:
        At most 100 rows: query and item by their raw names, the item's title where it has one, its rank in the
        query's list, its score, relatedness, known interactions (popularity), and why it is spurious. None where only
        candidates were ranked: who they are is not the model's doing.
    """
    if ranking.sampled:
        return []
    related = _related(ranking, factors)
    found = ranking.ids >= 0
    if known.groups is not None:
        own = known.groups.query[ranking.query][:, None]
        spurious = found & (known.groups.item[np.where(found, ranking.ids, 0)] != own)
    else:
        spurious = found & (related <= np.median(pairs.related))
    rows = np.flatnonzero(spurious.any(1))
    place = np.argmax(spurious[rows], axis=1)
    order = np.lexsort((related[rows, place], place))[:MOST]
    rows, place = rows[order], place[order]
    items = ranking.ids[rows, place]
    with jax.default_matmul_precision("highest"):
        scores = np.asarray(score(ranking.queries[rows], ranking.items[items][:, None, :]))[:, 0]
    together = _together(known, ranking.query[rows], items)
    popularity = np.bincount(known.interactions.item, minlength=len(known.vocabularies["item"]))
    table = []
    for number, (row, found_item) in enumerate(zip(rows, items, strict=True)):
        query, item = int(ranking.query[row]), int(found_item)
        line = {
            "query": str(known.vocabularies["query"][query]),
            **names.item(known, item),
            "rank": int(place[number]) + 1,
            "score": float(scores[number]),
            "relatedness": float(related[row, place[number]]),
            "popularity": int(popularity[item]),
            "why": _why(known, query, item, int(together[number])),
        }
        table.append(line)
    return table


def _why(known: Dataset, query: int, item: int, together: int) -> str:
    if known.groups is not None:
        reason = f"group {known.groups.item[item]}, the query's is {known.groups.query[query]}"
    else:
        reason = "no more related than the middle one of random pairs"
    others = "no other query" if together == 0 else f"{together} other quer{'y' if together == 1 else 'ies'}"
    return f"{reason}; {others} met it and anything that this one met"


def _related(ranking: evaluate.Ranking, factors: Factors) -> np.ndarray:
    """[Q K], a column at a time: no [Q K rank] is made."""
    left = factors[0][ranking.query]
    columns = [np.sum(left * factors[1][column], axis=1) for column in ranking.ids.T]
    return np.stack(columns, axis=1)


def _together(known: Dataset, queries: np.ndarray, items: np.ndarray) -> np.ndarray:
    """[B]: how many other queries met the item and at least one item that the query met."""
    met = interactions.met(known)
    by_item = met.T.tocsr()
    found = np.empty(len(queries), np.int64)
    for number, (query, item) in enumerate(zip(queries, items, strict=True)):
        others = by_item.indices[by_item.indptr[item] : by_item.indptr[item + 1]]
        others = others[others != query]
        own = np.zeros(met.shape[1], np.float32)
        own[met.indices[met.indptr[query] : met.indptr[query + 1]]] = 1.0
        found[number] = np.count_nonzero(met[others] @ own) if len(others) else 0
    return found
