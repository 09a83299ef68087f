"""One number to minimise: a model's logits of positives and candidates, a loss, and penalties."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from recjax import embed, importance, logits, losses, partition
from recjax.errors import InputError
from recjax.types import Batch, Candidates, Data, Embedded, Key, Model, Params, Penalty, Sampler


class States(NamedTuple):
    """What the parts of an objective keep from step to step."""

    sampler: Any
    penalty: dict[str, Any]


class Found(NamedTuple):
    """What an evaluation of the objective leaves behind: its terms by name, what else it tells, and new states."""

    terms: dict[str, Array]
    metrics: dict[str, Array]
    states: States


class Objective(NamedTuple):
    """`sample` chooses candidates, `reads` tells the rows that `value` will read, and `value` is to be minimised.

    `sample(key, state of the sampler, batch) -> (candidates, state)`;
    `reads(batch, candidates, data) -> {table: row ids [R]}`, without the tables that are read whole;
    `value(key, params, states, batch, candidates, data) -> (scalar, Found)`.
    """

    sample: Callable[[Key, Any, Batch], tuple[Candidates, Any]]
    reads: Callable[[Batch, Candidates, Data], dict[str, Array]]
    value: Callable[[Key, Params, States, Batch, Candidates, Data], tuple[Array, Found]]


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

    The key of `sample` and that of `value` may be the same.

    Args:
        correction: who is corrected for sampling. "negatives": each counts 1 / expected count. "all": the positive's
            logit too loses its log_q (Yi et al. 2019; for the softmax alone). "none": each counts 1.
        unobserved_weight: multiplies the weight of every negative.

    Raises:
        InputError: the sampler enlarges its sample until it is enough for a softmax, and the loss is another.
    """
    if sampler.enough and loss is not losses.softmax:
        raise InputError(
            "sampler.enough is an effective sample size of the softmax's partition, and the loss is another; type "
            "--config.sampler.enough=0 or --config.objective.loss=softmax"
        )
    penalties = penalties or {}

    def sample(key: Key, state: Any, batch: Batch):
        return sampler.sample(jax.random.split(key, 4)[2], state, batch)

    def reads(batch: Batch, candidates: Candidates, data: Data):
        first, *more = (one.ids for one in (candidates, *candidates.more))
        if first is not None and all(ids is not None for ids in more):
            own = _embedded(sampler.in_batch, batch.positive, first)
            ids = jnp.concatenate([own, *(ids.reshape(-1) for ids in more if ids is not None)])
            return embed.reads(model, batch.features, _of(data, ids))
        whole = model.item.ids(data.corpus)
        return {name: ids for name, ids in embed.reads(model, batch.features, None).items() if name not in whole}

    def value(key: Key, params: Params, states: States, batch: Batch, candidates: Candidates, data: Data):
        query_key, item_key, _, refine_key = jax.random.split(key, 4)
        queries = embed.queries(query_key, model, params, batch.features)

        def log_partition(everyone: Candidates) -> Float[Array, " B"]:
            return partition.tower_log_partition(
                item_key,
                queries,
                model,
                params,
                data.corpus,
                score=score,
                temperature=temperature,
                exclude=everyone.where,
            )

        def corrections(some: Candidates) -> Array:
            log_q = jnp.zeros(()) if correction == "none" else some.log_q
            return jnp.atleast_2d(-log_q)

        def sums(ids: Int[Array, " C"], some: Candidates) -> importance.Sums:
            items = embed.items(item_key, model, params, _of(data, ids))
            return importance.sums(logits.scale(score(queries, items), temperature), corrections(some), some.where)

        metrics: dict[str, Array] = {}
        state = states.sampler
        if candidates.ids is None and loss is losses.softmax and len(data.frequency) > partition.BLOCK:
            own = embed.items(item_key, model, params, _of(data, batch.positive.reshape(-1)))
            own = own.reshape(*batch.positive.shape, -1)
            positive = logits.scale(score(queries, own), temperature)
            negative, where, log_weight = _alone(log_partition(candidates))
            embedded = Embedded(queries, own)
        else:
            own, others, where = _embed(item_key, model, params, sampler.in_batch, candidates, batch, data)
            positive = logits.scale(score(queries, own), temperature)
            negative = logits.scale(score(queries, others), temperature)
            if sampler.refine is not None:
                seen = jax.lax.stop_gradient((positive, negative))
                candidates, state, metrics = sampler.refine(refine_key, state, batch, candidates, *seen)
                where = candidates.where
            embedded = Embedded(queries, own, others, where)
            log_weight = corrections(candidates)
            if sampler.enough:
                everyone = candidates.more[-1]
                further = [(some.ids, some) for some in candidates.more if some.ids is not None]
                total, found = importance.log_partition(
                    importance.sums(negative, log_weight, where),
                    negative.shape[1],
                    [(ids.shape[-1], functools.partial(sums, ids, some)) for ids, some in further],
                    (len(data.frequency), lambda: log_partition(everyone)),
                    sampler.enough,
                )
                (negative, where, log_weight), metrics = _alone(total), metrics | found
        if correction == "all":
            positive = logits.correct(positive, candidates.positive_log_q)
        log_weight = log_weight + jnp.log(unobserved_weight)
        per_query = loss(positive, negative, target=batch.target, where=where, log_weight=log_weight)
        terms = {"loss": jnp.sum(batch.weight * per_query) / jnp.sum(batch.weight)}
        new = {}
        for name, penalty in penalties.items():
            terms[name], new[name] = penalty.apply(states.penalty[name], params, embedded, batch)
        return sum(terms.values()), Found(terms, metrics, States(state, new))

    return Objective(sample, reads, value)


def _alone(total: Float[Array, " B"]) -> tuple[Float[Array, "B 1"], Bool[Array, "B 1"], Float[Array, "1 1"]]:
    """All that the softmax asks of its negatives is their log-partition: one that has it, its mask, its log weight."""
    return total[:, None], jnp.isfinite(total)[:, None], jnp.zeros((1, 1))


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
