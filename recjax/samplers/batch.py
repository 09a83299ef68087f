"""Samplers that take the batch's own positives as negatives: their embeddings are at hand."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from recjax import configs
from recjax.samplers import proposals
from recjax.types import Batch, Data, Params, Sampler


def in_batch(settings: configs.Sampler) -> Sampler:
    """The batch's positives: for a row, those of the B - 1 other examples; expected count (B - 1) frequency.

    Source: Yi et al. 2019, section 4.
    """
    proposals.only(settings)

    def init(data: Data, params: Params | None):
        return jnp.log(data.frequency)

    def sample(key, log_frequency, batch: Batch):
        ids, log_others = _own(batch)
        log_q = log_others + log_frequency
        found = proposals.candidates(batch, ids, log_q[ids], log_q[batch.positive])
        return found._replace(where=found.where & (batch.target > 0).reshape(-1)), log_frequency

    return Sampler(init, sample, in_batch=True)


def mixed(settings: configs.Sampler) -> Sampler:
    """The batch's positives and `negatives` draws ~ max(count, 1)^exponent, corrected with the sum of both counts.

    With exponent 0 the draws are uniform, as published. Source: Yang et al. 2020 (mixed negative sampling).
    """
    proposals.only(settings, "exponent")

    def init(data: Data, params: Params | None):
        return jnp.log(data.frequency), proposals.proposal(proposals.counts(data) ** settings.exponent)

    def sample(key, state, batch: Batch):
        log_frequency, proposal = state
        own, log_others = _own(batch)
        drawn = proposals.draw(key, proposal, settings.negatives)
        ids = jnp.concatenate([own, drawn])
        log_q = jnp.logaddexp(log_others + log_frequency, jnp.log(settings.negatives) + proposal.log_q)
        found = proposals.candidates(batch, ids, log_q[ids], log_q[batch.positive])
        exists = jnp.concatenate([(batch.target > 0).reshape(-1), jnp.ones(drawn.shape, bool)])
        return found._replace(where=found.where & exists), state

    return Sampler(init, sample, in_batch=True)


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
    proposals.only(settings, "memory")

    def init(data: Data, params: Params | None):
        empty = jnp.zeros((settings.memory,), jnp.int32)
        return jnp.log(data.frequency), Memory(empty, empty > 0, jnp.zeros((), jnp.int32))

    def sample(key, state, batch: Batch):
        log_frequency, old = state
        positives = batch.positive.shape[1]
        size = settings.memory // positives * positives  # whole examples
        own, exists = batch.positive.reshape(-1), (batch.target > 0).reshape(-1)
        past, held = old.ids[:size], old.exists[:size] & (jnp.arange(size) < old.filled)
        examples = batch.positive.shape[0] - 1 + old.filled / positives
        ids, log_q = jnp.concatenate([own, past]), jnp.log(examples) + log_frequency
        found = proposals.candidates(batch, ids, log_q[ids], log_q[batch.positive])
        found = found._replace(where=found.where & jnp.concatenate([exists, held]))
        new = Memory(
            old.ids.at[:size].set(ids[:size]),
            old.exists.at[:size].set(jnp.concatenate([exists, held])[:size]),
            jnp.minimum(old.filled + len(own), size),
        )
        return found, (log_frequency, new)

    return Sampler(init, sample, in_batch=True)


def _own(batch: Batch) -> tuple[Int[Array, " C"], float]:
    """The batch's positives, and the log of how many other examples a row meets."""
    others = batch.positive.shape[0] - 1
    return batch.positive.reshape(-1), float(np.log(others)) if others else -np.inf
