"""One number to minimise: a model's logits of positives and candidates, a loss, and penalties."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from recjax import embed, logits
from recjax.types import Batch, Candidates, Data, Key, Model, Params, Penalty, Sampler


class Terms(NamedTuple):
    """What an evaluation of the objective leaves behind: its terms by name, and the new states."""

    terms: dict[str, Array]
    sampler: Any
    penalty: dict[str, Any]


def objective(
    model: Model,
    sampler: Sampler,
    loss: Callable[..., Array],
    *,
    score: Callable[[Array, Array], Array],
    temperature: float | Array = 1.0,
    correction: str = "negatives",
    unobserved_weight: float | Array = 1.0,
    penalties: dict[str, Penalty] | None = None,
):
    """Builds `(params, key, sampler_state, penalty_state, batch, data) -> (scalar, Terms)`.

    Args:
        correction: who is corrected for sampling. "negatives": each counts 1 / expected count. "all": the positive's
            logit too loses its log_q (Yi et al. 2019; for the softmax alone). "none": each counts 1.
        unobserved_weight: multiplies the weight of every negative.
    """
    penalties = penalties or {}

    def value(params: Params, key: Key, sampler_state, penalty_state, batch: Batch, data: Data):
        query_key, item_key, sample_key = jax.random.split(key, 3)
        queries = embed.queries(query_key, model, params, batch.features)
        frozen = jax.lax.stop_gradient(params)

        def present(ids):
            items = embed.items(None, model, frozen, _of(data, ids))
            return logits.scale(score(jax.lax.stop_gradient(queries), items), temperature)

        candidates, sampler_state = sampler.sample(sample_key, sampler_state, batch, present)
        own, others, where = _embed(item_key, model, params, sampler.in_batch, candidates, batch, data)
        positive = logits.scale(score(queries, own), temperature)
        negative = logits.scale(score(queries, others), temperature)
        if correction == "all":
            positive = logits.correct(positive, candidates.positive_log_q)
        weight = jnp.ones(()) if correction == "none" else jnp.exp(-candidates.log_q)
        weight = jnp.atleast_2d(unobserved_weight * weight)
        per_query = loss(positive, negative, target=batch.target, where=where, weight=weight)
        terms = {"loss": jnp.sum(batch.weight * per_query) / jnp.sum(batch.weight)}
        new = {}
        for name, penalty in penalties.items():
            terms[name], new[name] = penalty.apply(penalty_state[name], params, queries, own, batch)
        return sum(terms.values()), Terms(terms, sampler_state, new)

    return value


def _of(data: Data, ids: Array):
    return jax.tree.map(lambda leaf: leaf[ids], data.corpus)


def _embed(key: Key, model, params, in_batch: bool, candidates: Candidates, batch: Batch, data: Data):
    """Embeddings of the positives [B P D] and of the candidates, in one call of the item tower; and their mask."""
    shape = batch.positive.shape
    own = batch.positive.reshape(-1)
    if candidates.ids is None:
        items = embed.items(key, model, params, data.corpus)
        positives = items[batch.positive]
        rows = jnp.arange(shape[0])[:, None]
        where = jnp.ones((shape[0], items.shape[0]), bool).at[rows, candidates.where].set(False, mode="drop")
        return positives, items, where
    fresh = candidates.ids.reshape(-1)[len(own) if in_batch else 0 :]
    items = embed.items(key, model, params, _of(data, jnp.concatenate([own, fresh])))
    positives = items[: len(own)].reshape(*shape, items.shape[-1])
    others = items if in_batch else items[len(own) :]
    return positives, others.reshape(*candidates.ids.shape, items.shape[-1]), candidates.where
