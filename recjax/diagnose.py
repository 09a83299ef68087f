"""What is wrong with a trained model, in a few numbers: the same list for everyone, dead rows, best-sellers only."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from recjax import evaluate
from recjax.types import Split

TOP = (0.01, 0.1)  # shares of the corpus that count as popular


def collapse(ids: np.ndarray) -> float:
    """The mean share of a query's list that another query's list has too: 1 is the same list for everyone.

    Over all pairs of different queries, by counting how often each item is retrieved. Lists [Q K], -1: none; they are
    taken to be equally long, K being their mean length.

    >>> collapse(np.array([[0, 1], [1, 2], [1, 0]]))  # the pairs share 1, 2 and 1 of 2
    0.6666666666666666
    """
    found = ids[ids >= 0]
    count = np.bincount(found).astype(np.float64)
    length = len(found) / len(ids)
    pairs = len(ids) * (len(ids) - 1)
    return float(np.sum(count * (count - 1)) / (pairs * length)) if pairs and length else 0.0


def popularity_share(items: np.ndarray, count: np.ndarray) -> dict[str, float]:
    """Which share of items (retrieved or relevant ones, repeated; -1: none) is in the most popular 1 % and 10 %.

    Args:
        count: [N], known interactions; ties are broken by id.

    >>> popularity_share(np.array([0, 0, 1, 5]), np.arange(10)[::-1])
    {'top 1 %': 0.5, 'top 10 %': 0.5}
    """
    rank = np.empty(len(count), np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(count))
    found = rank[items[items >= 0]]
    return {f"top {share * 100:g} %": float(np.mean(found < max(1, round(share * len(count))))) for share in TOP}


@jax.jit
def fingerprints(tables: Mapping[str, Float[Array, "_ _"]]) -> dict[str, UInt32[Array, " _"]]:
    """A number for each row's bits: rows that differ have different ones, but for a chance of 2^-32."""

    def one(table):
        bits = jax.lax.bitcast_convert_type(table, jnp.uint32 if table.dtype.itemsize == 4 else jnp.uint16)
        column = jnp.arange(table.shape[1], dtype=jnp.uint32)
        x = (bits.astype(jnp.uint32) ^ (column * jnp.uint32(0x9E3779B9))) * jnp.uint32(0x85EBCA6B)
        x = (x ^ (x >> 15)) * (2 * column + 1)
        return jnp.sum(x ^ (x >> 13), axis=1, dtype=jnp.uint32)

    return {name: one(table) for name, table in tables.items()}


def dead_rows(
    before: Mapping[str, Array], tables: Mapping[str, Array], vocabularies: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """The share of each table's rows that training left to the bit as they were, or that are 0.

    Args:
        before: `fingerprints` of the tables before training.
        vocabularies: rows past the end of a table's own are for unknown ids, and do not count.
    """
    now = fingerprints(tables)

    def one(name: str) -> float:
        still = (now[name] == before[name]) | jnp.all(tables[name] == 0, axis=1)
        return float(jnp.mean(still[: len(vocabularies[name]) if name in vocabularies else None]))

    return {name: one(name) for name in tables}


def report(
    ranking: evaluate.Ranking, split: Split, before: Mapping[str, Array], tables: Mapping[str, Array]
) -> dict[str, Any]:
    """The report of a run, from its ranking of the test part.

    Returns:
        collapse and, of what is `retrieved` and of what is `relevant`, the popularity shares (not among candidates
        only: they would describe the candidates); the shares of each table's dead rows; and of the items and queries
        that training never met.
    """
    known = split.test.known
    found: dict[str, Any] = {}
    count = np.bincount(known.interactions.item, minlength=len(known.vocabularies["item"]))
    if not ranking.sampled:
        found["collapse"] = collapse(ranking.ids)
        found["retrieved"] = popularity_share(ranking.ids, count)
        found["relevant"] = popularity_share(split.test.relevant.item, count)
    found["dead_rows"] = dead_rows(before, tables, known.vocabularies)
    trained = split.train.interactions
    found["never_trained"] = {
        name: 1 - len(np.unique(ids)) / len(known.vocabularies[name])
        for name, ids in (("query", trained.query), ("item", trained.item))
    }
    return found
