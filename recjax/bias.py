"""Is a sampler unbiased? The loss, the partition and the gradient of sampled steps against those over the corpus."""

import functools
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from recjax import batches, configs, known, objectives, samplers, scores
from recjax.errors import InputError
from recjax.types import Batch, Data, Key, Model, Params, Sampler

GROUPS = 20  # of draws, whose spread gives a standard error


class Estimate(NamedTuple):
    """Of sampled values, as shares of the exact one: 0 is no bias. `low` and `high` bound the bias."""

    exact: float
    bias: float
    low: float
    high: float
    sd: float  # of one draw


def check_unbiased(
    key: Key,
    sampler: Sampler,
    loss: Callable[..., Array],
    *,
    model: Model,
    params: Params,
    data: Data,
    state: Any = None,
    batch: int = 64,
    rows: int = 8,
    draws: int = 1000,
    positives: int = 1,
    length: int = 50,
    score: Callable[[Array, Array], Array] = scores.dot,
    temperature: float = 1.0,
    correction: str = "negatives",
    masked: bool = False,
    confidence: float = 0.99,
) -> dict[str, Estimate]:
    """Draws candidates again and again for fixed examples, and compares with the whole corpus.

    An example is looked at in batches whose other examples are new in each draw, since samplers may take those for
    negatives. Costs rows · draws steps of training.

    Args:
        state: of the sampler; by default that of its beginning.
        batch: B, what the sampler sees.
        rows: examples looked at, whose numbers are averaged.
        draws: of each, a multiple of 20.
        length: L, of histories.
        masked: the query's other interactions are no negatives; of the exact numbers too.
        confidence: of the intervals, one at a time.

    Returns:
        "loss": of an example. "partition": the sum over negatives of weight exp(logit); a sampler that enlarges its
        sample is judged by its first one. "gradient": its component along the exact gradient. "gradient norm": the
        squared length of the mean error over that of the exact gradient (`exact` is the latter's square root), whose
        estimate may be negative where there is no bias.

    Raises:
        InputError: a number of draws that does not fall into 20 equal groups.
    """
    if draws < GROUPS or draws % GROUPS:
        raise InputError(f"draws is {draws}; wanted a multiple of {GROUPS}: type for example draws={50 * GROUPS}")
    whole = samplers.full(configs.Sampler())
    if masked:
        sampler, whole = known.masked(sampler), known.masked(whole)
    begin = sampler.init(data, params) if state is None else state
    everyone = whole.init(data, params)

    def build(sampler: Sampler, loss: Callable[..., Array]) -> objectives.Objective:
        return objectives.objective(model, sampler, loss, score=score, temperature=temperature, correction=correction)

    exact, sampled = build(whole, loss), build(sampler, loss)
    exact_partition, sampled_partition = build(whole, _partition), build(sampler._replace(enough=0.0), _partition)

    def value(objective, sampler_state, key, params, batch: Batch, data: Data):
        sample_key, value_key = jax.random.split(key)
        candidates, new = objective.sample(sample_key, sampler_state, batch)
        found, _ = objective.value(value_key, params, objectives.States(new, {}), batch, candidates, data)
        return found

    def joined(key: Key, row: Batch, data: Data) -> Batch:
        """The example, which alone has weight, and others."""
        others = batches.draw(key, data, batch - 1, positives=positives, length=length)
        both = jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), row, others)
        return both._replace(weight=jnp.zeros(batch).at[0].set(1.0))

    def one(key: Key, row: Batch, params: Params, data: Data, begin: Any, everyone: Any):
        alone = joined(key, row, data)
        true, slope = jax.value_and_grad(functools.partial(value, exact, everyone, key))(params, alone, data)
        total = value(exact_partition, everyone, key, params, alone, data)

        def draw(key):
            batch_key, key = jax.random.split(key)
            drawn = joined(batch_key, row, data)
            found, gradient = jax.value_and_grad(functools.partial(value, sampled, begin, key))(params, drawn, data)
            part = value(sampled_partition, begin, key, params, drawn, data)
            error = jax.tree.map(jnp.subtract, gradient, slope)
            return jnp.stack([found - true, part - total, _dot(error, slope)]), error, _dot(error, error)

        def group(key):
            keys = jax.random.split(key, draws // GROUPS)
            _, *shapes = jax.eval_shape(draw, keys[0])
            start = jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), shapes)

            def add(sums, key):
                numbers, *found = draw(key)
                return jax.tree.map(jnp.add, sums, found), numbers

            (error, square), each = jax.lax.scan(add, start, keys)
            return error, square, each

        errors, squares, each = jax.lax.map(group, jax.random.split(key, GROUPS))
        return true, total, _dot(slope, slope), _norms(errors, squares, draws // GROUPS), each

    @jax.jit
    def every(key: Key, params: Params, data: Data, begin: Any, everyone: Any):
        fixed_key, key = jax.random.split(key)
        fixed = batches.draw(fixed_key, data, rows, positives=positives, length=length)
        keys = jax.random.split(key, rows)
        return jax.lax.map(lambda pair: one(pair[0], pair[1], params, data, begin, everyone), (keys, fixed))

    found = every(key, params, data, begin, everyone)
    true, total, norm, norms, each = (np.asarray(leaf, np.float64) for leaf in found)
    width = NormalDist().inv_cdf(0.5 + confidence / 2)
    loss_of, partition_of, along = (
        each[..., column].reshape(rows, -1) / scale[:, None]
        for column, scale in enumerate((np.full(rows, true.mean()), total, norm))
    )
    return {
        "loss": _estimate(float(true.mean()), loss_of, width),
        "partition": _estimate(float(total.mean()), partition_of, width),
        "gradient": _estimate(float(np.sqrt(norm).mean()), along, width),
        "gradient norm": _jackknife(float(np.sqrt(norm).mean()), norms / norm[:, None], width),
    }


def _partition(positive, negative, *, target, where, log_weight) -> Array:
    """As a loss: the sum over negatives of weight exp(logit)."""
    return jnp.sum(jnp.where(where, jnp.exp(negative + log_weight), 0.0), axis=-1)


def _estimate(exact: float, errors: np.ndarray, width: float) -> Estimate:
    """Of errors [rows, draws]: rows are given, draws are random."""
    bias, sd = float(errors.mean()), float(np.sqrt(errors.var(1, ddof=1).mean()))
    error = sd / float(np.sqrt(errors.size))
    return Estimate(exact, bias, bias - width * error, bias + width * error, sd)


def _norms(errors: Any, squares: Array, draws: int) -> Array:
    """[1 + GROUPS]: estimates of |mean error|², from all draws, and without each group. No draw meets itself."""
    whole = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), errors)

    def estimate(error, square, count):
        return (_dot(error, error) - square) / (count * (count - 1))

    def without(index):
        rest = jax.tree.map(lambda every, one: every - one[index], whole, errors)
        return estimate(rest, jnp.sum(squares) - squares[index], (GROUPS - 1) * draws)

    left = jax.lax.map(without, jnp.arange(GROUPS))
    return jnp.concatenate([estimate(whole, jnp.sum(squares), GROUPS * draws)[None], left])


def _jackknife(exact: float, norms: np.ndarray, width: float) -> Estimate:
    """Of estimates [rows, 1 + GROUPS], the first of which is from all draws. Source: Efron and Stein 1981."""
    bias, left = float(norms[:, 0].mean()), norms[:, 1:].mean(0)
    error = float(np.sqrt((GROUPS - 1) / GROUPS * np.sum((left - left.mean()) ** 2)))
    return Estimate(exact, bias, bias - width * error, bias + width * error, error * float(np.sqrt(GROUPS)))


def _dot(one: Any, two: Any) -> Array:
    return jnp.asarray(sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)))
