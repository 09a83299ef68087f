"""What a sampler's candidates are worth: how many of them are positives after all, and how many they amount to."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from recjax import batches, embed, importance, logits
from recjax.types import Batch, Candidates, Data, Key, Model, Params, Sampler, Split

BATCHES = 4  # that are looked at
CELLS = 2**22  # pairs of a query and an item of the whole corpus that are looked at


class Drawn(NamedTuple):
    """A batch's candidates, and what a step lets each count."""

    query: Int[Any, " B"]
    ids: Int[Any, "*C"] | None  # [C] or [B C]; None: the whole corpus
    where: Bool[Any, "B C"] | Int[Any, "B L"]  # for the whole corpus the ids that must not count
    weight: Float[Any, "#B #C"]  # up to a factor
    size: Float[Any, " B"]  # the effective sample size; for the whole corpus, where nothing is sampled, 0


def drawer(
    model: Model,
    sampler: Sampler,
    score: Callable[[Array, Array], Array],
    *,
    correction: str,
    batch: int,
    positives: int,
    length: int,
) -> Callable[[Key, Array, Params, object, Data], Drawn]:
    """Builds (key, temperature, params, state of the sampler, data) -> a training batch's candidates, for jax.jit.

    Of a sampler that enlarges its sample the first one is taken.
    """

    def draw(key: Key, temperature: Array, params: Params, state: object, data: Data) -> Drawn:
        batch_key, sample_key, refine_key = jax.random.split(key, 3)
        one = batches.draw(batch_key, data, batch, positives=positives, length=length)
        found, state = sampler.sample(sample_key, state, one)
        query = one.features["query"]
        if found.ids is None:
            return Drawn(query, None, found.where, jnp.ones((1, 1)), jnp.zeros(batch))
        queries = embed.queries(None, model, params, one.features)

        def logit(ids):
            items = embed.items(None, model, params, jax.tree.map(lambda leaf: leaf[ids.reshape(-1)], data.corpus))
            return logits.scale(score(queries, items.reshape(*ids.shape, items.shape[-1])), temperature)

        negative = logit(found.ids)
        found = _refined(refine_key, sampler, state, one, found, logit(one.positive), negative)
        log_weight = jnp.atleast_2d(jnp.zeros(()) if correction == "none" else -found.log_q)
        log_weight = jnp.broadcast_to(log_weight, negative.shape)
        where = jnp.broadcast_to(found.where, negative.shape)
        size = importance.effective_size(importance.sums(negative, log_weight, where))
        return Drawn(query, found.ids, where, jnp.exp(log_weight - jnp.max(log_weight, initial=-jnp.inf)), size)

    return draw


def _refined(
    key: Key, sampler: Sampler, state: object, batch: Batch, found: Candidates, positive: Array, negative: Array
) -> Candidates:
    if sampler.refine is None:
        return found
    return sampler.refine(key, state, batch, found, positive, negative)[0]


def report(draws: list[Drawn], split: Split) -> dict[str, float]:
    """The means over batches.

    Returns:
        The shares, by weight, of candidates that count against a query although it met them in training
        (`training_positives`), or meets them in what is held out (`held_out_positives`); and, where the corpus is
        sampled, how many candidates count against a row (`candidates`) and their `effective_sample_size`. Nothing
        where there are no candidates.
    """
    items = len(split.train.vocabularies["item"])
    held = [part.relevant for part in (split.validation, split.test) if part is not None]
    parts = {"training_positives": [split.train.interactions], "held_out_positives": held}
    known = {name: np.unique(np.concatenate([_code(*one[:2], items) for one in of])) for name, of in parts.items()}
    total, false, count, size = 0.0, dict.fromkeys(known, 0.0), [], []
    for drawn in draws:
        query, ids, where, weight, _ = drawn
        if ids is None:
            query = query[: max(1, CELLS // items)]
            ids, where = np.arange(items), _may_count(where[: len(query)], items)
        if not np.size(ids):
            return {}
        counted = np.broadcast_to(weight, where.shape) * where
        total += float(np.sum(counted, dtype=np.float64))
        pairs = _code(query[:, None], np.broadcast_to(ids, where.shape), items)
        for name, codes in known.items():
            false[name] += float(np.sum(counted, where=_among(codes, pairs), dtype=np.float64))
        if drawn.ids is not None:
            count.append(np.mean(np.sum(where, axis=1)))
            size.append(np.mean(drawn.size))
    found = {name: value / max(total, 1e-30) for name, value in false.items()}
    if size:
        found |= {"candidates": float(np.mean(count)), "effective_sample_size": float(np.mean(size))}
    return found


def _may_count(excluded: np.ndarray, items: int) -> np.ndarray:
    """The ids [B L] that must not count, as a mask [B N]."""
    where = np.ones((len(excluded), items), bool)
    rows, columns = np.nonzero(excluded < items)
    where[rows, excluded[rows, columns]] = False
    return where


def _code(query: np.ndarray, item: np.ndarray, items: int) -> np.ndarray:
    return query.astype(np.int64) * items + item


def _among(codes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return codes[np.minimum(np.searchsorted(codes, pairs), len(codes) - 1)] == pairs
