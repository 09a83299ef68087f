"""Gramians of embeddings from the batches that are seen: of one batch, running, or beside a cache of all embeddings.

A Gramian here is Σ_i share_i x_i x_iᵀ over the rows (queries, or items), whose shares sum to 1. An estimate is
`init(rows, dimension) -> state` and `update(state, seen) -> (Gramian [D D], state)`: one signature, no gradients.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Seen(NamedTuple):
    """The R embeddings of one side that a batch brings, repeats included.

    `weight` is a row's share over its expected count in the batch, so that Σ weight x xᵀ is unbiased. What is padding
    has weight 0 and an id past the last row.
    """

    embeddings: Float[Array, "R D"]
    ids: Int[Array, " R"]
    weight: Float[Array, " R"]
    share: Float[Array, " R"]


class Estimate(NamedTuple):
    """How a Gramian is had from batches: `init(rows, dimension) -> state`, `update(state, seen) -> ([D D], state)`."""

    init: Callable[[int, int], Any]
    update: Callable[[Any, Seen], tuple[Array, Any]]


def moment(embeddings: Float[Array, "R D"], weight: Float[Array, " R"]) -> Float[Array, "D D"]:
    """Σ_r weight_r x_r x_rᵀ.

    >>> moment(jnp.array([[1.0, 2.0], [3.0, 0.0]]), jnp.array([0.5, 0.5])).tolist()
    [[5.0, 1.0], [1.0, 2.0]]
    """
    return (embeddings * weight[:, None]).T @ embeddings


def batch() -> Estimate:
    """Of the present batch alone. O(B D²). Source: Krichene et al. 2019, section 2 (sampling)."""
    return Estimate(lambda rows, dimension: (), lambda state, seen: (moment(seen.embeddings, seen.weight), state))


def running(alpha: float | Array) -> Estimate:
    """G ← (1 - alpha) G + alpha · that of the present batch; it begins at 0. O(B D²), and D² numbers of memory.

    The present batch is in the estimate: with alpha = 1 it is `batch`. The variance is that of a batch times at most
    alpha / (2 - alpha); what the embeddings move in some 1 / alpha steps is its lag.
    Source: Krichene et al. 2019, algorithm 2 (SOGram).
    """

    def update(state: Float[Array, "D D"], seen: Seen):
        found = (1 - alpha) * state + alpha * moment(seen.embeddings, seen.weight)
        return found, found

    return Estimate(lambda rows, dimension: jnp.zeros((dimension, dimension)), update)


def cached(beta: float | Array) -> Estimate:
    """G = S + beta · Σ weight (x xᵀ - x̂ x̂ᵀ), where x̂ is the row's cached embedding and S the Gramian of the cache.

    The cache has the latest embedding of every row (0 before the first), and S follows it. beta = 1 is unbiased; with
    the batch's share of all examples the estimate is S itself after the update, staler and of less variance.
    O(B D² + B log B), and (rows + D) D numbers of memory. Of a row that the batch brings twice the last one is kept.
    Source: Krichene et al. 2019, algorithm 1 (SAGram), which caches examples: rows are fewer, and know their examples'.
    """

    def init(rows: int, dimension: int):
        return jnp.zeros((rows, dimension)), jnp.zeros((dimension, dimension))

    def update(state: tuple[Float[Array, "N D"], Float[Array, "D D"]], seen: Seen):
        cache, whole = state
        old = cache.at[seen.ids].get(mode="fill", fill_value=0.0)
        found = whole + beta * (moment(seen.embeddings, seen.weight) - moment(old, seen.weight))
        order = jnp.argsort(seen.ids)
        ids = seen.ids[order]
        last = jnp.concatenate([ids[1:] != ids[:-1], jnp.ones(1, bool)]) & (ids < len(cache))
        new, share = seen.embeddings[order], jnp.where(last, seen.share[order], 0.0)
        whole = whole + moment(new, share) - moment(old[order], share)
        places = jnp.where(last, ids, len(cache) + jnp.arange(len(ids), dtype=ids.dtype))
        return found, (cache.at[places].set(new, mode="drop", unique_indices=True), whole)

    return Estimate(init, update)
