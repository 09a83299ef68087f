"""Exact retrieval: over the whole corpus, in blocks, so that memory does not grow with it, or among candidates."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from recjax import scores
from recjax.errors import InputError


def top_k(
    queries: Float[Array, "B D"],
    items: Float[Array, "N D"],
    k: int,
    *,
    exclude: Int[Array, "B L"] | None = None,
    groups: tuple[Int[Array, " B"], Int[Array, " N"]] | None = None,
    score: Callable[[Array, Array], Array] = scores.dot,
    block: int = 8192,
) -> tuple[Float[Array, "B K"], Int[Array, "B K"]]:
    """The k items with the highest scores, best first; equal scores in the order of their ids.

    Args:
        exclude: ids that are not to be retrieved; ids outside [0, N) are padding.
        groups: of the queries and of the items: then a query's list holds items of its own group alone.
        block: items scored at once: memory is O(B block), whatever N.

    Returns:
        Scores and ids. Where fewer than k items are left, the rest have id -1 and score -inf.

    Raises:
        InputError: k is not in [1, N].

    >>> found, ids = top_k(jnp.array([[1.0]]), jnp.array([[1.0], [3.0], [2.0]]), 2, exclude=jnp.array([[1]]))
    >>> found.tolist(), ids.tolist()
    ([[2.0, 1.0]], [[2, 0]])
    """
    count = items.shape[0]
    if not 1 <= k <= count:
        raise InputError(f"k = {k} items were asked for from a corpus of {count}; wanted 1 <= k <= {count}")
    size = min(block, count)
    blocks = -(-count // size)
    batch = queries.shape[0]

    def merge(best, index):
        # The last block starts early enough to be whole; what the one before has scored is left out.
        first = jnp.minimum(index * size, count - size)
        found = score(queries, jax.lax.dynamic_slice_in_dim(items, first, size))
        found = jnp.where(first + jnp.arange(size) >= index * size, found, -jnp.inf)
        if groups is not None:
            own = groups[0][:, None] == jax.lax.dynamic_slice_in_dim(groups[1], first, size)
            found = jnp.where(own, found, -jnp.inf)
        if exclude is not None:
            # Excluded ids of other blocks fall outside and are dropped; negative indices would wrap around.
            local = jnp.where(exclude >= first, exclude - first, size)
            found = found.at[jnp.arange(batch)[:, None], local].set(-jnp.inf, mode="drop")
        found, columns = jax.lax.top_k(found, min(k, size))
        values = jnp.concatenate([best[0], found], axis=1)
        ids = jnp.concatenate([best[1], first + columns], axis=1)
        values, columns = jax.lax.top_k(values, k)
        return (values, jnp.take_along_axis(ids, columns, axis=1)), None

    empty = (jnp.full((batch, k), -jnp.inf, queries.dtype), jnp.full((batch, k), -1, jnp.int32))
    (values, ids), _ = jax.lax.scan(merge, empty, jnp.arange(blocks))
    return values, jnp.where(jnp.isneginf(values), -1, ids)


def top_k_among(
    queries: Float[Array, "B D"],
    items: Float[Array, "N D"],
    candidates: Int[Array, "B C"],
    k: int,
    *,
    score: Callable[[Array, Array], Array] = scores.dot,
) -> tuple[Float[Array, "B K"], Int[Array, "B K"]]:
    """The k candidates of each query with the highest scores, best first; equal scores in the order of the columns.

    Args:
        candidates: ids, -1: none; in ascending order, ties come as in `top_k`.

    Returns:
        Scores and ids. Where a query has fewer than k candidates, the rest have id -1 and score -inf.

    Raises:
        InputError: k is not in [1, C].

    >>> found, ids = top_k_among(jnp.array([[1.0]]), jnp.array([[1.0], [3.0], [2.0]]), jnp.array([[-1, 0, 2]]), 2)
    >>> found.tolist(), ids.tolist()
    ([[2.0, 1.0]], [[2, 0]])
    """
    count = candidates.shape[1]
    if not 1 <= k <= count:
        raise InputError(f"k = {k} items were asked for among {count} candidates; wanted 1 <= k <= {count}")
    found = score(queries, items[jnp.maximum(candidates, 0)])
    values, columns = jax.lax.top_k(jnp.where(candidates >= 0, found, -jnp.inf), k)
    return values, jnp.where(jnp.isneginf(values), -1, jnp.take_along_axis(candidates, columns, axis=1))


def by_id(candidates: np.ndarray, queries: int, items: int) -> np.ndarray:
    """Candidates in ascending order, so that ties are ranked as over the whole corpus: by id, not by column."""
    if len(candidates) != queries:
        raise InputError(
            f"there are candidates for {len(candidates)} queries and {queries} are judged; wanted one row each"
        )
    found = np.sort(candidates, axis=1)
    wrong = (found < -1) | (found >= items)
    wrong[:, 1:] |= (found[:, 1:] == found[:, :-1]) & (found[:, 1:] >= 0)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"row {row} of the candidates has item {found[row, column]}; "
            f"wanted different ids from 0 to {items - 1}, or -1 for none"
        )
    return found
