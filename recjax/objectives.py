"""One number to minimise: a model's logits of positives and candidates, a loss, and penalties."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from recjax import embed, logits, losses, partition
from recjax.types import Batch, Candidates, Data, Key, Model, Params, Penalty, Sampler


class Terms(NamedTuple):
    """What an evaluation of the objective leaves behind: its terms by name, and the penalties' new states."""

    terms: dict[str, Array]
    penalty: dict[str, Any]


class Objective(NamedTuple):
    """`sample` chooses candidates, `reads` tells the rows that `value` will read, and `value` is to be minimised.

    `sample(key, params, state, batch, data) -> (candidates, state)`;
    `reads(batch, candidates, data) -> {table: row ids [R]}`, without the tables that are read whole;
    `value(key, params, penalty_state, batch, candidates, data) -> (scalar, Terms)`.
    """

    sample: Callable[[Key, Params, Any, Batch, Data], tuple[Candidates, Any]]
    reads: Callable[[Batch, Candidates, Data], dict[str, Array]]
    value: Callable[[Key, Params, Any, Batch, Candidates, Data], tuple[Array, Terms]]


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
) -> Objective:
    """Builds an objective.

    Args:
        correction: who is corrected for sampling. "negatives": each counts 1 / expected count. "all": the positive's
            logit too loses its log_q (Yi et al. 2019; for the softmax alone). "none": each counts 1.
        unobserved_weight: multiplies the weight of every negative.
    """
    penalties = penalties or {}

    def sample(key: Key, params: Params, state: Any, batch: Batch, data: Data):
        query_key, _, sample_key = jax.random.split(key, 3)
        params = jax.lax.stop_gradient(params)

        def present(ids):
            queries = embed.queries(query_key, model, params, batch.features)
            items = embed.items(None, model, params, _of(data, ids))
            return logits.scale(score(queries, items), temperature)

        return sampler.sample(sample_key, state, batch, present)

    def reads(batch: Batch, candidates: Candidates, data: Data):
        if candidates.ids is not None:
            items = _of(data, _embedded(sampler.in_batch, batch.positive, candidates.ids))
            return embed.reads(model, batch.features, items)
        whole = model.item.ids(data.corpus)
        return {name: ids for name, ids in embed.reads(model, batch.features, None).items() if name not in whole}

    def value(key: Key, params: Params, penalty_state: Any, batch: Batch, candidates: Candidates, data: Data):
        query_key, item_key, _ = jax.random.split(key, 3)
        queries = embed.queries(query_key, model, params, batch.features)
        if candidates.ids is None and loss is losses.softmax and len(data.frequency) > partition.BLOCK:
            # All that the softmax asks of its negatives is their log-partition: one negative that has it.
            own = embed.items(item_key, model, params, _of(data, batch.positive.reshape(-1)))
            own = own.reshape(*batch.positive.shape, -1)
            whole = partition.tower_log_partition(
                item_key,
                queries,
                model,
                params,
                data.corpus,
                score=score,
                temperature=temperature,
                exclude=candidates.where,
            )
            negative, where = whole[:, None], jnp.isfinite(whole)[:, None]
        else:
            own, others, where = _embed(item_key, model, params, sampler.in_batch, candidates, batch, data)
            negative = logits.scale(score(queries, others), temperature)
        positive = logits.scale(score(queries, own), temperature)
        if correction == "all":
            positive = logits.correct(positive, candidates.positive_log_q)
        weight = jnp.ones(()) if correction == "none" else jnp.exp(-candidates.log_q)
        weight = jnp.atleast_2d(unobserved_weight * weight)
        per_query = loss(positive, negative, target=batch.target, where=where, weight=weight)
        terms = {"loss": jnp.sum(batch.weight * per_query) / jnp.sum(batch.weight)}
        new = {}
        for name, penalty in penalties.items():
            terms[name], new[name] = penalty.apply(penalty_state[name], params, queries, own, batch)
        return sum(terms.values()), Terms(terms, new)

    return Objective(sample, reads, value)


def _of(data: Data, ids: Array):
    return jax.tree.map(lambda leaf: leaf[ids], data.corpus)


def _embedded(in_batch: bool, positive: Int[Array, "B P"], candidates: Int[Array, "*B C"]) -> Int[Array, " R"]:
    """The items that a step embeds: the batch's positives, and the candidates that are not among them anyway."""
    own = positive.reshape(-1)
    return jnp.concatenate([own, candidates.reshape(-1)[len(own) if in_batch else 0 :]])


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
    items = embed.items(key, model, params, _of(data, _embedded(in_batch, batch.positive, candidates.ids)))
    positives = items[: len(own)].reshape(*shape, items.shape[-1])
    others = items if in_batch else items[len(own) :]
    return positives, others.reshape(*candidates.ids.shape, items.shape[-1]), candidates.where
