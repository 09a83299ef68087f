"""A query's other interactions are no negatives: a mask around any sampler."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from recjax.types import Batch, Candidates, Data, Params, Sampler

PIECE = 8  # interactions of a list that are looked up side by side
CHUNK = 1024  # pieces that are looked up at once
WORD = 32  # rows whose marks are the bits of one word


class Known(NamedTuple):
    """Each query's items: query q's are `items[offsets[q]:offsets[q + 1]]`."""

    items: Int[Array, " E"]
    offsets: Int[Array, " M_plus_1"]
    lane: Int[Array, " L"]  # arange(the longest list)
    column: Int[Array, " N"]  # of a candidate that is this item, in the last step that had one


def of(data: Data) -> Known:
    """The training interactions."""
    longest = int(np.max(np.diff(np.asarray(data.offsets))))
    column = jnp.zeros(len(data.frequency), jnp.int32)
    return Known(data.interactions.item, data.offsets, jnp.arange(longest), column)


def contains(known: Known, query: Int[Array, " B"], ids: Int[Array, " C"]) -> tuple[Bool[Array, "B C"], Known]:
    """Whether each id is among each query's items; and `known` for the next call.

    The queries' items are looked up among the ids, all lists end to end: as much work as they are long together, and a
    mask; not B C searches. `column` is written at the ids alone, and what it says of another item is found wrong by a
    look at the ids: so no work grows with the corpus. Source: Briggs and Torczon 1993 (sparse sets).
    """
    rows, columns = len(query), len(ids)
    column = known.column.at[ids].set(jnp.arange(columns))
    start, stop = known.offsets[query], known.offsets[query + 1]
    pieces = (stop - start + PIECE - 1) // PIECE
    ends = jnp.cumsum(pieces)

    def mark(state):
        begin, found = state
        piece = begin + jnp.arange(CHUNK)
        row = jnp.minimum(jnp.searchsorted(ends, piece, side="right"), rows - 1)  # past the last list nothing is hit
        index = (start + PIECE * (pieces - ends))[row] + PIECE * piece
        index = index[:, None] + jnp.arange(PIECE)
        item = known.items[jnp.minimum(index, len(known.items) - 1)]
        hit = (index < stop[row][:, None]) & (ids[column[item]] == item)
        place = row[:, None] // WORD, jnp.where(hit, column[item], columns), row[:, None] % WORD
        return begin + CHUNK, found.at[place].set(True, mode="drop")

    begin = jnp.zeros((), ends.dtype), jnp.zeros((-(-rows // WORD), columns, WORD), bool)
    _, found = jax.lax.while_loop(lambda state: state[0] < ends[-1], mark, begin)
    # Words, as XLA's CPU compiler gathers element by element. Of equal ids one was marked.
    bit = jnp.arange(WORD, dtype=jnp.uint32)
    words = jnp.sum(found.astype(jnp.uint32) << bit, axis=-1, dtype=jnp.uint32)[:, column[ids]]
    found = (words[:, None, :] >> bit[:, None]) & 1
    return found.reshape(-1, columns)[:rows] > 0, known._replace(column=column)


def listed(known: Known, query: Int[Array, " B"], padding: Int[Array, ""] | int) -> Int[Array, "B L"]:
    """Each query's items as padded lists."""
    index = known.offsets[query][:, None] + known.lane
    exists = index < known.offsets[query + 1][:, None]
    return jnp.where(exists, known.items[jnp.where(exists, index, 0)], padding)


def masked(sampler: Sampler) -> Sampler:
    """The same sampler, with the query's other training interactions masked."""

    def init(data: Data, params: Params | None):
        return sampler.init(data, params), of(data)

    def sample(key, state, batch: Batch):
        inner, known = state
        candidates, inner = sampler.sample(key, inner, batch)
        candidates, known = _mask(known, batch, candidates)
        return candidates, (inner, known)

    def refine(key, state, batch: Batch, candidates: Candidates, positive, negative):
        assert sampler.refine is not None  # it is wrapped only where there is one
        inner, known = state
        candidates, inner, metrics = sampler.refine(key, inner, batch, candidates, positive, negative)
        return candidates, (inner, known), metrics

    return sampler._replace(init=init, sample=sample, refine=refine if sampler.refine else None)


def _mask(known: Known, batch: Batch, candidates: Candidates) -> tuple[Candidates, Known]:
    query, ids, where = batch.features["query"], candidates.ids, candidates.where
    if ids is None:
        where = jnp.concatenate([where, listed(known, query, jnp.iinfo(jnp.int32).max)], axis=1)
    elif ids.ndim == 2:
        where &= ~jax.vmap(functools.partial(jnp.isin, method="binary_search"))(ids, listed(known, query, -1))
    elif len(ids):
        found, known = contains(known, query, ids)
        where &= ~found
    more = []
    for one in candidates.more:
        rest, known = _mask(known, batch, one)
        more.append(rest)
    return candidates._replace(where=where, more=tuple(more)), known
