"""Samplers of negatives. Each factory takes `configs.Sampler` and gives a `types.Sampler`.

Every one tells the log of each candidate's expected count, so that the correction is right by construction, and
masks accidental hits: a candidate that is among a row's own positives does not count against that row.
`recjax.known.masked` makes any of them leave out the query's other interactions too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from recjax import configs
from recjax.types import Batch, Candidates, Data, Key, Params, Sampler


def none(settings: configs.Sampler) -> Sampler:
    """No candidates: positives only."""

    def sample(key, state, batch: Batch, score):
        zeros = jnp.zeros(batch.positive.shape)
        return _candidates(batch, jnp.zeros((0,), jnp.int32), jnp.zeros((0,)), zeros), state

    return Sampler(lambda data, params: (), sample)


def full(settings: configs.Sampler) -> Sampler:
    """The whole corpus: nothing is sampled and log_q is 0."""

    def sample(key, count, batch: Batch, score):
        own = jnp.where(batch.target > 0, batch.positive, count)
        return Candidates(None, jnp.zeros(()), own, jnp.zeros(batch.positive.shape)), count

    return Sampler(_corpus_size, sample)


def uniform(settings: configs.Sampler) -> Sampler:
    """`negatives` draws with equal probabilities, with replacement: expected count C / N."""

    def sample(key, count, batch: Batch, score):
        ids = jax.random.randint(key, (settings.negatives,), 0, count)
        log_q = jnp.log(settings.negatives / count.astype(jnp.float32))
        return _candidates(batch, ids, log_q, jnp.full(batch.positive.shape, log_q)), count

    return Sampler(_corpus_size, sample)


def popularity(settings: configs.Sampler) -> Sampler:
    """Draws with probability ~ max(count, 1)^exponent, so that an item nobody met can be drawn too.

    Source: Mikolov et al. 2013, who use exponent 0.75.
    """
    return _proposed(settings, lambda data: _counts(data) ** settings.exponent)


def log_uniform(settings: configs.Sampler) -> Sampler:
    """Draws with probability log((r + 2) / (r + 1)) / log(N + 1) for the r-th most frequent item: Zipf's law.

    Source: TensorFlow's log_uniform_candidate_sampler.
    """

    def weights(data: Data) -> np.ndarray:
        rank = np.empty(len(data.frequency))
        rank[np.argsort(-np.asarray(data.frequency), kind="stable")] = np.arange(len(rank))
        return np.log1p(1.0 / (rank + 1.0))

    return _proposed(settings, weights)


def in_batch(settings: configs.Sampler) -> Sampler:
    """The batch's positives: for a row, those of the B - 1 other examples; expected count (B - 1) frequency.

    Source: Yi et al. 2019, section 4.
    """

    def init(data: Data, params: Params | None):
        return jnp.log(data.frequency)

    def sample(key, log_frequency, batch: Batch, score):
        ids, log_others = _own(batch)
        log_q = log_others + log_frequency
        found = _candidates(batch, ids, log_q[ids], log_q[batch.positive])
        return found._replace(where=found.where & (batch.target > 0).reshape(-1)), log_frequency

    return Sampler(init, sample, in_batch=True)


def mixed(settings: configs.Sampler) -> Sampler:
    """The batch's positives and `negatives` draws ~ max(count, 1)^exponent, corrected with the sum of both counts.

    With exponent 0 the draws are uniform, as published. Source: Yang et al. 2020 (mixed negative sampling).
    """

    def init(data: Data, params: Params | None):
        return jnp.log(data.frequency), _proposal(_counts(data) ** settings.exponent)

    def sample(key, state, batch: Batch, score):
        log_frequency, proposal = state
        own, log_others = _own(batch)
        drawn = _draw(key, proposal, settings.negatives)
        ids = jnp.concatenate([own, drawn])
        log_q = jnp.logaddexp(log_others + log_frequency, jnp.log(settings.negatives) + proposal.log_q)
        found = _candidates(batch, ids, log_q[ids], log_q[batch.positive])
        exists = jnp.concatenate([(batch.target > 0).reshape(-1), jnp.ones(drawn.shape, bool)])
        return found._replace(where=found.where & exists), state

    return Sampler(init, sample, in_batch=True)


class _Proposal(NamedTuple):
    """A distribution in ticks of 2^-32: drawing is one binary search, and log_q is that of what is really drawn."""

    bounds: Array  # [N - 1] uint32: item i is drawn by bits in [bounds[i - 1], bounds[i])
    log_q: Float[Array, " N"]  # of one draw


def _proposal(weights: np.ndarray) -> _Proposal:
    ticks = np.maximum(1, np.floor(weights / weights.sum() * 2.0**32)).astype(np.int64)
    ticks[np.argmax(ticks)] += 2**32 - ticks.sum()
    bounds = np.cumsum(ticks)[:-1].astype(np.uint32)
    return _Proposal(jnp.asarray(bounds), jnp.asarray(np.log(ticks * 2.0**-32), jnp.float32))


def _draw(key: Key, proposal: _Proposal, count: int) -> Int[Array, " C"]:
    bits = jax.random.bits(key, (count,), jnp.uint32)
    return jnp.searchsorted(proposal.bounds, bits, side="right").astype(jnp.int32)


def _proposed(settings: configs.Sampler, weights) -> Sampler:
    def sample(key, proposal, batch: Batch, score):
        ids = _draw(key, proposal, settings.negatives)
        log_q = jnp.log(settings.negatives) + proposal.log_q
        return _candidates(batch, ids, log_q[ids], log_q[batch.positive]), proposal

    return Sampler(lambda data, params: _proposal(weights(data)), sample)


def _counts(data: Data) -> np.ndarray:
    return np.maximum(np.asarray(data.frequency, np.float64) * len(data.interactions.item), 1.0)


def _corpus_size(data: Data, params: Params | None) -> Int[Array, ""]:
    return jnp.asarray(len(data.frequency), jnp.int32)


def _own(batch: Batch) -> tuple[Int[Array, " C"], float]:
    """The batch's positives, and the log of how many other examples a row meets."""
    others = batch.positive.shape[0] - 1
    return batch.positive.reshape(-1), float(np.log(others)) if others else -np.inf


def _candidates(batch: Batch, ids: Int[Array, " C"], log_q: Array, positive_log_q: Float[Array, "B P"]) -> Candidates:
    return Candidates(ids, log_q, ~_accidental_hits(batch, ids), positive_log_q)


def _accidental_hits(batch: Batch, ids: Int[Array, " C"]) -> Bool[Array, "B C"]:
    hit = (ids[None, :, None] == batch.positive[:, None, :]) & (batch.target > 0)[:, None, :]
    return jnp.any(hit, axis=-1)
