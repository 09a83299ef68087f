"""A query's other interactions are no negatives: a mask around any sampler."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from recjax.types import Batch, Candidates, Data, Params, Sampler


class Known(NamedTuple):
    """Each query's items in rising order: query q's are `items[offsets[q]:offsets[q + 1]]`."""

    items: Int[Array, " E"]
    offsets: Int[Array, " M_plus_1"]
    lane: Int[Array, " L"]  # arange(the longest list)


def of(data: Data) -> Known:
    """The training interactions as sorted lists."""
    query, item = np.asarray(data.interactions.query), np.asarray(data.interactions.item)
    longest = int(np.max(np.diff(np.asarray(data.offsets))))
    return Known(jnp.asarray(item[np.lexsort((item, query))]), data.offsets, jnp.arange(longest))


def contains(known: Known, query: Int[Array, " B"], ids: Int[Array, " C"]) -> Bool[Array, "B C"]:
    """Whether each id is among each query's items. log2(L) gathers of [B C], whatever the corpus."""
    shape = (query.shape[0], ids.shape[-1])
    ids = jnp.broadcast_to(ids, shape)
    stop = jnp.broadcast_to(known.offsets[query + 1][:, None], shape)
    low, high = jnp.broadcast_to(known.offsets[query][:, None], shape), stop

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) // 2
        right = (low < high) & (known.items[jnp.minimum(middle, known.items.shape[0] - 1)] < ids)
        return jnp.where(right, middle + 1, low), jnp.where(right | (low >= high), high, middle)

    low, _ = jax.lax.fori_loop(0, known.lane.shape[0].bit_length(), halve, (low, high))
    return (low < stop) & (known.items[jnp.minimum(low, known.items.shape[0] - 1)] == ids)


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
