"""Samplers that take the batch's own positives as negatives: their embeddings are at hand."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from recjax import configs, frequency
from recjax.samplers import proposals
from recjax.types import Batch, Data, Params, Sampler

_STREAM = ("hashes", "buckets", "rate")
GAP = 100.0  # steps between two meetings of an item, before it is met

# How often an item is a positive of an example: observe(state, batch) -> state, log(state, ids, batch) -> logs. A batch
# is observed after it was corrected: what it tells of its own items is not independent of their being there.
Observe = Callable[[Any, Batch], Any]
Log = Callable[[Any, Array, Batch], Array]


def _frequencies(settings: configs.Sampler) -> tuple[Callable[[Data], Any], Observe, Log]:
    """Counted beforehand; or, with `hashes` above 0, estimated from the stream of batches."""
    if not settings.hashes:
        return lambda data: jnp.log(data.frequency), lambda state, batch: state, lambda state, ids, batch: state[ids]

    def init(data: Data):
        return frequency.init(settings.hashes, settings.buckets, GAP), jnp.zeros((), jnp.int32)

    def observe(state, batch: Batch):
        kept, step = state
        new = frequency.update(kept, step, batch.positive, rate=settings.rate, where=batch.target > 0)
        return new, step + 1

    def log(state, ids: Int[Array, "*B"], batch: Batch):
        return jnp.log(frequency.expected_count(state[0], ids)) - jnp.log(batch.positive.shape[0])

    return init, observe, log


def in_batch(settings: configs.Sampler) -> Sampler:
    """The batch's positives: for a row, those of the B - 1 other examples; expected count (B - 1) frequency.

    With `hashes` above 0 frequencies are estimated while training, for streams and for corpora that no array [N] is
    wanted for: their log_q is near the truth, not equal to it. Source: Yi et al. 2019, section 4.
    """
    proposals.only(settings, *_STREAM)
    init, observe, log = _frequencies(settings)

    def sample(key, state, batch: Batch):
        ids, log_others = _own(batch)
        log_q, positive_log_q = (log_others + log(state, one, batch) for one in (ids, batch.positive))
        found = proposals.candidates(batch, ids, log_q, positive_log_q)
        return found._replace(where=found.where & (batch.target > 0).reshape(-1)), observe(state, batch)

    return Sampler(lambda data, params: init(data), sample, in_batch=True)


def mixed(settings: configs.Sampler) -> Sampler:
    """The batch's positives and `negatives` draws ~ max(count, 1)^exponent, corrected with the sum of both counts.

    With exponent 0 the draws are uniform, as published. Source: Yang et al. 2020 (mixed negative sampling).
    """
    proposals.only(settings, "exponent", *_STREAM)
    init, observe, log = _frequencies(settings)

    def begin(data: Data, params: Params | None):
        return init(data), proposals.proposal(proposals.counts(data) ** settings.exponent)

    def sample(key, state, batch: Batch):
        seen, proposal = state
        own, log_others = _own(batch)
        drawn = proposals.draw(key, proposal, settings.negatives)
        ids = jnp.concatenate([own, drawn])

        def log_q(ids):
            return jnp.logaddexp(log_others + log(seen, ids, batch), jnp.log(settings.negatives) + proposal.log_q[ids])

        found = proposals.candidates(batch, ids, log_q(ids), log_q(batch.positive))
        exists = jnp.concatenate([(batch.target > 0).reshape(-1), jnp.ones(drawn.shape, bool)])
        return found._replace(where=found.where & exists), (observe(seen, batch), proposal)

    return Sampler(begin, sample, in_batch=True)


class Memory(NamedTuple):
    """Positives of the last steps, the newest first."""

    ids: Int[Array, " C"]
    exists: Bool[Array, " C"]
    filled: Int[Array, ""]  # slots


def memory(settings: configs.Sampler) -> Sampler:
    """The batch's positives and those of the steps before, `memory` in all, embedded anew by the present model.

    Expected count (B - 1 + remembered examples) frequency. Source: Wang et al. 2020 (cross-batch memory), who keep
    the embeddings; ids do not age.
    """
    proposals.only(settings, "memory", *_STREAM)
    init, observe, log = _frequencies(settings)

    def begin(data: Data, params: Params | None):
        empty = jnp.zeros((settings.memory,), jnp.int32)
        return init(data), Memory(empty, empty > 0, jnp.zeros((), jnp.int32))

    def sample(key, state, batch: Batch):
        seen, old = state
        positives = batch.positive.shape[1]
        size = settings.memory // positives * positives  # whole examples
        own, exists = batch.positive.reshape(-1), (batch.target > 0).reshape(-1)
        past, held = old.ids[:size], old.exists[:size] & (jnp.arange(size) < old.filled)
        log_examples = jnp.log(batch.positive.shape[0] - 1 + old.filled / positives)
        ids = jnp.concatenate([own, past])
        log_q, positive_log_q = (log_examples + log(seen, one, batch) for one in (ids, batch.positive))
        found = proposals.candidates(batch, ids, log_q, positive_log_q)
        found = found._replace(where=found.where & jnp.concatenate([exists, held]))
        new = Memory(
            old.ids.at[:size].set(ids[:size]),
            old.exists.at[:size].set(jnp.concatenate([exists, held])[:size]),
            jnp.minimum(old.filled + len(own), size),
        )
        return found, (observe(seen, batch), new)

    return Sampler(begin, sample, in_batch=True)


def _own(batch: Batch) -> tuple[Int[Array, " C"], float]:
    """The batch's positives, and the log of how many other examples a row meets."""
    others = batch.positive.shape[0] - 1
    return batch.positive.reshape(-1), float(np.log(others)) if others else -np.inf
