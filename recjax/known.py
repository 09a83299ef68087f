"""A query's other interactions are no negatives: a mask around any sampler."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from recjax.types import Batch, Candidates, Data, Params, Sampler

CHUNK = 8192  # interactions that are looked up at once


class Known(NamedTuple):
    """Each query's items: query q's are `items[offsets[q]:offsets[q + 1]]`."""

    items: Int[Array, " E"]
    offsets: Int[Array, " M_plus_1"]
    lane: Int[Array, " L"]  # arange(the longest list)


def of(data: Data) -> Known:
    """The training interactions."""
    longest = int(np.max(np.diff(np.asarray(data.offsets))))
    return Known(data.interactions.item, data.offsets, jnp.arange(longest))


def contains(known: Known, query: Int[Array, " B"], ids: Int[Array, "*B C"]) -> Bool[Array, "B C"]:
    """Whether each id is among each query's items.

    The queries' items are looked up among the ids, all lists end to end: as much work as they are long together, and a
    mask; not B C searches.
    """
    if ids.ndim == 2:
        return jax.vmap(lambda one, own: contains(known, one[None], own)[0])(query, ids)
    rows, columns = len(query), len(ids)
    if not columns:
        return jnp.zeros((rows, 0), bool)
    start, length = known.offsets[query], jnp.diff(known.offsets)[query]
    ends, ranked = jnp.cumsum(length), jnp.sort(ids)

    def mark(state):
        begin, found = state
        place = begin + jnp.arange(CHUNK)
        row = jnp.searchsorted(ends, place, side="right")  # past the last list: `rows`, and so dropped
        own = jnp.minimum(row, rows - 1)
        index = start[own] + place - (ends - length)[own]
        item = known.items[jnp.minimum(index, len(known.items) - 1)]
        column = jnp.searchsorted(ranked, item)
        hit = ranked[jnp.minimum(column, columns - 1)] == item
        return begin + CHUNK, found.at[row, jnp.where(hit, column, columns)].set(True, mode="drop")

    begin = jnp.zeros((), ends.dtype), jnp.zeros((rows, columns), bool)
    _, found = jax.lax.while_loop(lambda state: state[0] < ends[-1], mark, begin)
    return found[:, jnp.searchsorted(ranked, ids)]  # of equal ids the first one was marked


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
        return _mask(known, batch, candidates), (inner, known)

    def refine(key, state, batch: Batch, candidates: Candidates, positive, negative):
        assert sampler.refine is not None  # it is wrapped only where there is one
        inner, known = state
        candidates, inner, metrics = sampler.refine(key, inner, batch, candidates, positive, negative)
        return candidates, (inner, known), metrics

    return sampler._replace(init=init, sample=sample, refine=refine if sampler.refine else None)


def _mask(known: Known, batch: Batch, candidates: Candidates) -> Candidates:
    query = batch.features["query"]
    if candidates.ids is None:
        beyond = jnp.iinfo(jnp.int32).max
        where = jnp.concatenate([candidates.where, listed(known, query, beyond)], axis=1)
    else:
        where = candidates.where & ~contains(known, query, candidates.ids)
    return candidates._replace(where=where, more=tuple(_mask(known, batch, one) for one in candidates.more))
