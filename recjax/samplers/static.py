"""Samplers whose candidates depend on the data alone."""

import jax
import jax.numpy as jnp
import numpy as np

from recjax import configs
from recjax.errors import InputError
from recjax.samplers import proposals
from recjax.types import Batch, Candidates, Data, Lists, Params, Sampler


def none(settings: configs.Sampler) -> Sampler:
    """No candidates: positives only."""
    proposals.only(settings)

    def sample(key, state, batch: Batch):
        zeros = jnp.zeros(batch.positive.shape)
        return proposals.candidates(batch, jnp.zeros((0,), jnp.int32), jnp.zeros((0,)), zeros), state

    return Sampler(lambda data, params: (), sample)


def full(settings: configs.Sampler) -> Sampler:
    """The whole corpus: nothing is sampled and log_q is 0."""
    proposals.only(settings)
    return Sampler(proposals.corpus_size, lambda key, count, batch: (whole(batch, count), count))


def whole(batch: Batch, count) -> Candidates:
    """The corpus of `count` items as candidates."""
    own = jnp.where(batch.target > 0, batch.positive, count)
    return Candidates(None, jnp.zeros(()), own, jnp.zeros(batch.positive.shape))


def uniform(settings: configs.Sampler) -> Sampler:
    """`negatives` draws with equal probabilities, with replacement: expected count C / N."""
    proposals.only(settings)

    def sample(key, count, batch: Batch):
        ids = jax.random.randint(key, (settings.negatives,), 0, count)
        log_q = jnp.log(settings.negatives / count.astype(jnp.float32))
        return proposals.candidates(batch, ids, log_q, jnp.full(batch.positive.shape, log_q)), count

    return Sampler(proposals.corpus_size, sample)


def popularity(settings: configs.Sampler) -> Sampler:
    """Draws with probability ~ max(count, 1)^exponent, so that an item nobody met can be drawn too.

    Source: Mikolov et al. 2013, who use exponent 0.75.
    """
    proposals.only(settings, "exponent")
    return _proposed(settings, lambda data: proposals.counts(data) ** settings.exponent)


def log_uniform(settings: configs.Sampler) -> Sampler:
    """Draws with probability log((r + 2) / (r + 1)) / log(N + 1) for the r-th most frequent item: Zipf's law.

    Source: TensorFlow's log_uniform_candidate_sampler.
    """
    proposals.only(settings)

    def weights(data: Data) -> np.ndarray:
        rank = np.empty(len(data.frequency))
        rank[np.argsort(-np.asarray(data.frequency), kind="stable")] = np.arange(len(rank))
        return np.log1p(1.0 / (rank + 1.0))

    return _proposed(settings, weights)


def impressions(settings: configs.Sampler) -> Sampler:
    """Explicit negatives: `negatives` draws from what the query was shown and did not take; expected count C / shown.

    The sum over negatives is then over these alone. A query that was shown nothing has none.

    Raises:
        InputError: at `init`, the data set has no impressions.
    """
    proposals.only(settings)

    def init(data: Data, params: Params | None):
        if data.impressions is None:
            raise InputError(
                "sampler.name='impressions' wants explicit negatives and the data set has none; type for example "
                "--config.data.least_rating=4 with a data set of MovieLens, or --config.sampler.name=uniform"
            )
        return data.impressions

    def sample(key, lists: Lists, batch: Batch):
        query = batch.features["query"]
        start, shown = lists.offsets[query][:, None], jnp.diff(lists.offsets)[query][:, None]
        share = jax.random.uniform(key, (len(query), settings.negatives))
        place = start + jnp.minimum((share * shown).astype(jnp.int32), shown - 1)
        ids = lists.items[jnp.where(shown > 0, place, 0)]
        log_q = jnp.broadcast_to(jnp.log(settings.negatives / jnp.maximum(shown, 1)), ids.shape)
        found = proposals.candidates(batch, ids, log_q, jnp.zeros(batch.positive.shape))
        return found._replace(where=found.where & (shown > 0)), lists

    return Sampler(init, sample)


def _proposed(settings: configs.Sampler, weights) -> Sampler:
    def init(data: Data, params: Params | None):
        return proposals.proposal(weights(data))

    def sample(key, proposal, batch: Batch):
        ids = proposals.draw(key, proposal, settings.negatives)
        log_q = jnp.log(settings.negatives) + proposal.log_q
        return proposals.candidates(batch, ids, log_q[ids], log_q[batch.positive]), proposal

    return Sampler(init, sample)
