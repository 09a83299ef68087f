"""Metrics of a ranked list. One signature: (hits [B K], relevant [B]) -> [B].

`hits[b, k]` says whether the k-th retrieved item is relevant; `relevant[b]` counts a query's relevant items.
A query without any gives 0. The weighted mean is taken by the evaluator.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Hits = Bool[Array, "B K"]
Relevant = Int[Array, " B"]
PerQuery = Float[Array, " B"]


def recall(hits: Hits, relevant: Relevant) -> PerQuery:
    """Hits / relevant: at most K / relevant where more than K items are relevant.

    >>> recall(jnp.array([[True, False, True]]), jnp.array([4])).tolist()
    [0.5]
    """
    return _divide(jnp.sum(hits, axis=-1), relevant)


def recall_capped(hits: Hits, relevant: Relevant) -> PerQuery:
    """Hits / min(K, relevant): a perfect list always has 1. Source: Liang et al. 2018 (Mult-VAE), section 4.3."""
    return _divide(jnp.sum(hits, axis=-1), jnp.minimum(relevant, hits.shape[-1]))


def precision(hits: Hits, relevant: Relevant) -> PerQuery:
    """Hits / K."""
    return jnp.where(relevant > 0, jnp.mean(hits, axis=-1), 0.0)


def hit_rate(hits: Hits, relevant: Relevant) -> PerQuery:
    """1 where there is any hit."""
    return jnp.where(relevant > 0, jnp.any(hits, axis=-1), False).astype(jnp.float32)


def ndcg(hits: Hits, relevant: Relevant) -> PerQuery:
    """Sum over hits of 1 / log2(1 + rank), divided by its value for a perfect list. Source: Järvelin 2002.

    >>> print(f"{ndcg(jnp.array([[False, True]]), jnp.array([1]))[0]:.4f} = {1 / jnp.log2(3.0):.4f}")
    0.6309 = 0.6309
    """
    discount = 1.0 / jnp.log2(2.0 + jnp.arange(hits.shape[-1]))
    ideal = jnp.arange(hits.shape[-1]) < relevant[:, None]
    return _divide(jnp.sum(hits * discount, axis=-1), jnp.sum(ideal * discount, axis=-1))


def mrr(hits: Hits, relevant: Relevant) -> PerQuery:
    """1 / rank of the first hit; 0 where none is among the K."""
    ranks = 1.0 + jnp.arange(hits.shape[-1])
    return jnp.where(relevant > 0, jnp.max(hits / ranks, axis=-1), 0.0)


def map(hits: Hits, relevant: Relevant) -> PerQuery:
    """Average precision: sum over hits of the precision at their rank / min(K, relevant)."""
    ranks = 1.0 + jnp.arange(hits.shape[-1])
    precision_at = jnp.cumsum(hits, axis=-1) / ranks
    return _divide(jnp.sum(hits * precision_at, axis=-1), jnp.minimum(relevant, hits.shape[-1]))


def _divide(value: Array, count: Array) -> PerQuery:
    return jnp.where(count > 0, value / jnp.where(count > 0, count, 1), 0.0)
