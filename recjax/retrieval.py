"""Exact retrieval: over the whole corpus, in blocks, so that memory does not grow with it, or among candidates."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from recjax import scores
from recjax.errors import InputError

BLOCK = 8192  # items scored at once
CHUNK = 16  # items of which the highest score is looked at first
SLICE = 4096  # excluded pairs that are struck out at once


class Excluded(NamedTuple):
    """Pairs of a query and an item that are not to be retrieved, those of a block of items together."""

    row: Int[Array, " P"]  # of the queries
    item: Int[Array, " P"]
    start: Int[Array, "*T G"]  # where each block's pairs begin, and at last where they end


def excluded(
    row: np.ndarray, item: np.ndarray, items: int, *, rows: int = 0, tile: int = 0, block: int = BLOCK
) -> Excluded:
    """Sorts pairs [P] by the blocks of `top_k`, in numpy.

    Args:
        items: N.
        rows, tile: rows that are searched in tiles of so many: then a row counts from its tile's first, and `start` has
            a line a tile. By default all are searched at once.

    Raises:
        InputError: an item outside [0, N), or other numbers of rows and items.
    """
    if len(row) != len(item) or (len(item) and not (np.min(item) >= 0 and np.max(item) < items)):
        raise InputError(f"excluded pairs of {len(row)} rows and {len(item)} items; wanted items from 0 to {items - 1}")
    which = row // tile if tile else np.zeros_like(row)
    key = which.astype(np.int64) * items + item
    order = np.argsort(key, kind="stable")
    edges = np.append(np.arange(0, items, min(block, items)), items)
    tiles = np.arange(-(-rows // tile) if tile else 1, dtype=np.int64)
    start = np.searchsorted(key[order], tiles[:, None] * items + edges)
    found = (row - which * tile)[order], item[order], start if tile else start[0]
    return Excluded(*(jnp.asarray(part, jnp.int32) for part in found))


def top_k(
    queries: Float[Array, "B D"],
    items: Num[Array, "N E"],
    k: int,
    *,
    exclude: Excluded | None = None,
    groups: tuple[Int[Array, " B"], Int[Array, " N"]] | None = None,
    score: Callable[[Array, Array], Array] = scores.dot,
    block: int = BLOCK,
) -> tuple[Float[Array, "B K"], Int[Array, "B K"]]:
    """The k items with the highest scores, best first; equal scores in the order of their ids.

    Args:
        items: embeddings, or what else `score` reads of an item.
        exclude: what is not to be retrieved, made by `excluded` with the same block.
        groups: of the queries and of the items: then a query's list holds items of its own group alone.
        block: items scored at once: memory is O(B block), whatever N.

    Returns:
        Scores and ids. Where fewer than k items are left, the rest have id -1 and score -inf.

    Raises:
        InputError: k is not in [1, N], or `exclude` is of other blocks.

    >>> items, met = jnp.array([[1.0], [3.0], [2.0]]), excluded(np.array([0]), np.array([1]), 3)
    >>> found, ids = top_k(jnp.array([[1.0]]), items, 2, exclude=met)
    >>> found.tolist(), ids.tolist()
    ([[2.0, 1.0]], [[2, 0]])
    """
    count = items.shape[0]
    if not 1 <= k <= count:
        raise InputError(f"k = {k} items were asked for from a corpus of {count}; wanted 1 <= k <= {count}")
    size = min(block, count)
    blocks, rest = divmod(count, size)
    if exclude is not None and len(exclude.start) != blocks + (rest > 0) + 1:
        raise InputError(
            f"exclude has {len(exclude.start) - 1} blocks; wanted {blocks + (rest > 0)}: give both the same block"
        )

    def merge(best, number, size):
        first = number * min(block, count)
        found = score(queries, jax.lax.dynamic_slice_in_dim(items, first, size))
        if groups is not None:
            own = groups[0][:, None] == jax.lax.dynamic_slice_in_dim(groups[1], first, size)
            found = jnp.where(own, found, -jnp.inf)
        if exclude is not None and len(exclude.row):
            found = _strike(found, exclude, exclude.start[number], exclude.start[number + 1], first)
        few, columns = _best_chunks(found, k)
        # What was found before has lower ids, and of equal values top_k takes the first.
        values, place = jax.lax.top_k(jnp.concatenate([best[0], few], axis=1), k)
        return values, jnp.take_along_axis(jnp.concatenate([best[1], first + columns], axis=1), place, axis=1)

    best = jnp.full((len(queries), k), -jnp.inf, queries.dtype), jnp.full((len(queries), k), -1, jnp.int32)
    best, _ = jax.lax.scan(lambda best, number: (merge(best, number, size), None), best, jnp.arange(blocks))
    # What is left over is a block of its own: to mask scores that are there twice takes longer than to rank them.
    values, ids = merge(best, blocks, rest) if rest else best
    return values, jnp.where(jnp.isneginf(values), -1, ids)


def _best_chunks(found: Float[Array, "B N"], k: int) -> tuple[Float[Array, "B C"], Int[Array, "B C"]]:
    """A part of each row, with its columns in rising order, that holds the k best: jax.lax.top_k is slow on long rows.

    They are in the k chunks with the highest maxima; of equal maxima the first are taken, so that of equal values the
    first are, too.
    """
    rows, columns = found.shape
    chunks = columns // CHUNK
    own = jnp.broadcast_to(jnp.arange(columns, dtype=jnp.int32), found.shape)
    if chunks <= 2 * k:
        return found, own
    whole = found[:, : chunks * CHUNK].reshape(rows, chunks, CHUNK)
    _, chosen = jax.lax.top_k(jnp.max(whole, axis=-1), k)
    chosen = jnp.sort(chosen, axis=-1)
    few = jnp.take_along_axis(whole, chosen[:, :, None], axis=1).reshape(rows, k * CHUNK)
    place = (chosen[:, :, None] * CHUNK + jnp.arange(CHUNK, dtype=jnp.int32)).reshape(rows, k * CHUNK)
    left = slice(chunks * CHUNK, columns)  # that fill no chunk
    return jnp.concatenate([few, found[:, left]], axis=1), jnp.concatenate([place, own[:, left]], axis=1)


def _strike(found: Float[Array, "B C"], exclude: Excluded, begin: Array, end: Array, first: Array | int) -> Array:
    """-inf for the pairs from `begin` to `end`, of which a slice at a time is looked at."""
    size, length = found.shape[1], min(SLICE, len(exclude.row))

    def strike(number, found):
        # A slice that would reach past the end starts earlier; pairs of other blocks are dropped.
        at = jnp.minimum(begin + number * length, len(exclude.row) - length)
        row, item = (jax.lax.dynamic_slice_in_dim(part, at, length) for part in (exclude.row, exclude.item))
        place = at + jnp.arange(length)
        inside = (place >= begin) & (place < end)
        return found.at[row, jnp.where(inside, item - first, size)].set(-jnp.inf, mode="drop")

    return jax.lax.fori_loop(0, (end - begin + length - 1) // length, strike, found)


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


def among(
    lists: Int[Array, " R"], first: Int[Array, " B"], count: Int[Array, " B"], ids: Int[Array, "B K"]
) -> Bool[Array, "B K"]:
    """Whether each id is in its row's list, which is in ascending order: by bisection.

    >>> among(jnp.array([2, 5, 1]), jnp.array([0, 2]), jnp.array([2, 1]), jnp.array([[5, 3], [1, -1]])).tolist()
    [[True, False], [True, False]]
    """
    low, high = (jnp.broadcast_to(one[:, None], ids.shape) for one in (first, first + count))

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) // 2
        below = (lists[jnp.minimum(middle, len(lists) - 1)] < ids) & (low < high)
        return jnp.where(below, middle + 1, low), jnp.where(below, high, middle)

    place, _ = jax.lax.fori_loop(0, len(lists).bit_length(), halve, (low, high))
    return (place < (first + count)[:, None]) & (lists[jnp.minimum(place, len(lists) - 1)] == ids)


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
