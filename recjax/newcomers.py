"""What matrix factorization says of a row that nothing trained: the mean of the most similar trained rows.

Source: Google's course on recommendation systems, on the disadvantages of collaborative filtering: heuristics for fresh
items. Who is similar is found in numpy and scipy; the mean is part of the compiled ranking.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Float, Int

from recjax import configs, interactions
from recjax.errors import InputError
from recjax.features import dense
from recjax.types import Bag, Dataset, HeldOut

_BLOCK = 512  # rows that are compared at once


class Neighbors(NamedTuple):
    """Rows of a table that nothing trained, each with K trained rows; a row's weights sum to 1, or are 0."""

    row: Int[Any, " R"]
    ids: Int[Any, "R K"]
    weight: Float[Any, "R K"]


def find(train: Dataset, held: HeldOut, settings: configs.Model) -> dict[str, Neighbors]:
    """The neighbors of whoever nothing trained, by table: judged queries, and, by features, items.

    By features two rows are as similar as the mean over the side features is: 1 or 0 for an id, for a bag the share
    of both bags that they have in common. By history two queries are as similar as the cosine of what they met.

    Raises:
        InputError: a newcomer of whom nothing is known.
    """
    fresh = check(train, held, settings)
    trained = {"query": np.unique(train.interactions.query), "item": np.unique(train.interactions.item)}
    if settings.newcomers == "history":
        known, met = map(_unit, (held.known, train))
        blocks = {side: _products(known, met[trained[side]], rows) for side, rows in fresh.items()}
    else:
        blocks = {side: _alike(_features(held.known, side), trained[side], rows) for side, rows in fresh.items()}
    return {side: _nearest(one, fresh[side], trained[side], settings.neighbors) for side, one in blocks.items()}


def check(train: Dataset, held: HeldOut, settings: configs.Model) -> dict[str, np.ndarray]:
    """Refuses newcomers of whom nothing is known by which they could be compared.

    Returns:
        The rows that nothing trained, by side: judged queries, and, where features may tell of them, items.

    Raises:
        InputError: without side features, or without a history.
    """
    fresh = _fresh(train, held, settings)
    if settings.newcomers == "history":
        unknown = np.setdiff1d(fresh.get("query", []), held.known.interactions.query)
        if len(unknown):
            raise InputError(
                f"model.newcomers='history', and of {len(unknown)} new queries nothing is known; type "
                "--config.model.newcomers=features, or take another split"
            )
        return fresh
    if "query" in fresh and not reads(held.known, "query"):
        raise InputError(
            "model.newcomers='features', and the data set has no side features of ids for a new query; type "
            "--config.model.newcomers=history, or take another data set"
        )
    return fresh


def reads(dataset: Dataset, side: str) -> list[str]:
    """The side features by which newcomers are compared: those that are ids or bags."""
    values = {"query": dataset.queries, "item": dataset.corpus}[side]
    return [name for name, value in values.items() if name != side and not dense(value)]


def _fresh(train: Dataset, held: HeldOut, settings: configs.Model) -> dict[str, np.ndarray]:
    queries = np.setdiff1d(held.relevant.query, train.interactions.query)
    found = {"query": queries}
    if settings.newcomers == "features" and reads(held.known, "item"):
        found["item"] = np.setdiff1d(train.corpus["item"], train.interactions.item)
    return {side: rows for side, rows in found.items() if len(rows)}


def fill(tables: Mapping[str, Array], found: Mapping[str, Neighbors]) -> dict[str, Array]:
    """The tables with the rows of newcomers."""
    filled = dict(tables)
    for side, (row, ids, weight) in found.items():
        rows = tables[side][ids].astype(jnp.float32)
        mean = jnp.einsum("rk,rkd->rd", weight, rows).astype(tables[side].dtype)
        filled[side] = tables[side].at[row].set(mean)
    return filled


def _nearest(blocks: Iterator[Float[np.ndarray, "B T"]], rows: np.ndarray, trained: np.ndarray, k: int) -> Neighbors:
    """Of each row the k most similar of the trained ones, of equal ones the first."""
    k = min(k, len(trained))
    ids, weight = np.zeros((len(rows), k), np.int32), np.zeros((len(rows), k), np.float32)
    done = 0
    for block in blocks:
        best = np.argsort(-block, axis=1, kind="stable")[:, :k]
        own = np.take_along_axis(block, best, axis=1)
        total = own.sum(axis=1, keepdims=True)
        place = slice(done, done + len(block))
        ids[place], weight[place] = trained[best], own / np.where(total > 0, total, 1.0)
        done += len(block)
    return Neighbors(*map(jnp.asarray, (rows.astype(np.int32), ids, weight)))


def _unit(dataset: Dataset) -> scipy.sparse.csr_array:
    """[M N]: what each query has met, of length 1."""
    met = interactions.met(dataset)
    met.data /= np.repeat(np.sqrt(np.maximum(np.diff(met.indptr), 1)), np.diff(met.indptr)).astype(np.float32)
    return met


def _products(
    left: scipy.sparse.csr_array, right: scipy.sparse.csr_array, rows: np.ndarray
) -> Iterator[Float[np.ndarray, "B T"]]:
    for start in range(0, len(rows), _BLOCK):
        yield (left[rows[start : start + _BLOCK]] @ right.T).toarray()


def _features(dataset: Dataset, side: str) -> list[Any]:
    values = {"query": dataset.queries, "item": dataset.corpus}[side]
    return [values[name] for name in reads(dataset, side)]


def _alike(features: list[Any], trained: np.ndarray, rows: np.ndarray) -> Iterator[Float[np.ndarray, "B T"]]:
    """The similarities of rows to trained rows by their side features."""
    sets = [_set(value) for value in features]
    for start in range(0, len(rows), _BLOCK):
        own = rows[start : start + _BLOCK]
        yield np.mean([_share(one[own], one[trained]) for one in sets], axis=0)


def _set(value: Any) -> scipy.sparse.csr_array:
    """[. V]: which values a row has."""
    bag = value if isinstance(value, Bag) else Bag(value[:, None], np.ones((len(value), 1), bool))
    row, place = np.nonzero(bag.where)
    ids = bag.ids[row, place]
    shape = len(bag.ids), int(np.max(bag.ids, initial=0)) + 1
    found = scipy.sparse.csr_array((np.ones(len(ids), np.float32), (row, ids)), shape=shape)
    found.data[:] = 1.0
    return found


def _share(left: scipy.sparse.csr_array, right: scipy.sparse.csr_array) -> Float[np.ndarray, "B T"]:
    """Of what either has, the share that both have."""
    both = (left @ right.T).toarray()
    either = np.diff(left.indptr)[:, None] + np.diff(right.indptr) - both
    return both / np.maximum(either, 1.0)
