"""Unequal lists in few padded shapes: lists of like length share a bucket, a bucket is cut into batches of one shape.

A program compiles one shape a bucket and holds one batch at a time, of a long list one chunk at a time: neither grows
with the number of lists, and memory does not grow with the longest.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

CHUNK = 8192  # cells of one list that are looked at together


class Bucket(NamedTuple):
    """T batches of B lists, padded to one length L."""

    ids: Int[Any, "T B L"]
    value: Float[Any, "T B L"]
    weight: Float[Any, "T B L"]  # 0: padding
    until: Int[Any, " S"]  # the batches of side s end before until[s]; those of the next side begin there


class Ragged(NamedTuple):
    """The lists of R rows, each in a slot: those of the buckets' lists, one after another."""

    buckets: tuple[Bucket, ...]
    slot: Int[Any, " R"]  # of each row; -1: it has no list
    row: Int[Any, " X"]  # of each slot; -1: padding
    count: Float[Any, " X"]  # the length of each slot's list; 0: padding


def pack(
    row: np.ndarray,
    ids: np.ndarray,
    value: np.ndarray,
    weight: np.ndarray,
    *,
    sides: Sequence[int],
    batch: Callable[[int], int],
    shapes: int = 8,
    worth: int = 0,
    chunk: int = CHUNK,
) -> Ragged:
    """Packs entries (row, id, value, weight), in any order, into batches.

    Args:
        sides: how many rows each side has; a batch has rows of one side. Rows are in [0, sum(sides)).
        batch: how many lists a batch has at most, by their length.
        shapes: buckets at most; their lengths are chosen so that they pad least.
        worth: a further shape is taken only where it saves more than so many cells.
        chunk: lengths above it are multiples of it.

    >>> row, ids = np.array([0, 0, 2]), np.array([7, 8, 9])
    >>> packed = pack(row, ids, np.ones(3), np.ones(3), sides=[3], batch=lambda length: 8 // length)
    >>> [bucket.ids.tolist() for bucket in packed.buckets], packed.slot.tolist(), packed.row.tolist()
    ([[[[9, 0, 0, 0], [7, 8, 0, 0]]]], [1, -1, 0], [2, 0])
    """
    order = np.argsort(row, kind="stable")
    ids, value, weight = ids[order], value[order], weight[order]
    count = np.bincount(row, minlength=sum(sides))
    side = np.repeat(np.arange(len(sides)), sides)
    start = np.cumsum(count) - count
    slot = np.full(len(count), -1, np.int32)
    buckets, slots, shorter = [], 0, 0
    for length in _lengths(count[count > 0], shapes, worth, chunk):
        members = np.flatnonzero((count > shorter) & (count <= length))
        members = members[np.lexsort((count[members], side[members]))]
        lists = np.bincount(side[members], minlength=len(sides))
        batches = -(-lists // max(batch(length), 1))
        size = int(np.max(-(-lists // np.maximum(batches, 1))))  # as few as fill the batches
        until = np.cumsum(batches)
        # Each side's lists begin with a batch of their own.
        place = np.arange(len(members)) + np.repeat((until - batches) * size - (np.cumsum(lists) - lists), lists)
        slot[members] = slots + place
        held = count[members]
        column = np.arange(held.sum()) - np.repeat(np.cumsum(held) - held, held)
        source = np.repeat(start[members], held) + column
        cell = np.repeat(place * length, held) + column
        shape = int(until[-1]), size, length
        parts = [_scatter(shape, cell, part[source]) for part in (ids, value, weight)]
        buckets.append(Bucket(parts[0], parts[1], parts[2], until.astype(np.int32)))
        slots += shape[0] * size
        shorter = length
    found = np.full(slots, -1, np.int32)
    found[slot[slot >= 0]] = np.flatnonzero(slot >= 0)
    return Ragged(tuple(buckets), slot, found, np.where(found < 0, 0, count[found]).astype(np.float32))


def _scatter(shape: tuple[int, ...], cell: np.ndarray, part: np.ndarray) -> np.ndarray:
    found = np.zeros(shape, np.int32 if np.issubdtype(part.dtype, np.integer) else np.float32)
    found.reshape(-1)[cell] = part
    return found


def padding(ragged: Ragged) -> float:
    """Cells, padding included, over entries: 1 wastes nothing."""
    cells = [np.asarray(bucket.weight) for bucket in ragged.buckets]
    return sum(part.size for part in cells) / sum(np.count_nonzero(part) for part in cells)


def _lengths(count: np.ndarray, shapes: int, worth: int, chunk: int) -> list[int]:
    """At most `shapes` lengths to which lists of these lengths are rounded up, such that the cells are fewest."""
    # 5 % apart; the longest list sets its bucket's length alone.
    grid = np.append(4 * np.ceil(1.05 ** np.arange(300.0)), [chunk, -(-count.max() // 4) * 4]).astype(np.int64)
    grid = np.unique(np.where(grid > chunk, -(-grid // chunk) * chunk, grid))
    candidate, lists = np.unique(grid[np.searchsorted(grid, count)], return_counts=True)
    upto = np.cumsum(lists)
    # fewest[j]: cells of the lists up to candidate j with the shapes so far, the last of which is j.
    fewest, came = candidate * upto, []
    for _ in range(1, shapes):
        cells = fewest[:, None] + candidate * (upto - upto[:, None])
        cells = np.where(np.tri(len(candidate), dtype=bool), np.iinfo(np.int64).max, cells)
        if fewest[-1] - cells[:, -1].min() <= worth:
            break
        came.append(np.where(cells.min(0) < fewest, cells.argmin(0), -1))
        fewest = np.minimum(fewest, cells.min(0))
    last, chosen = len(candidate) - 1, []
    for one in [*came[::-1], None]:
        chosen.append(int(candidate[last]))
        last = -1 if one is None else int(one[last])
        if last < 0:
            break
    return chosen[::-1]
