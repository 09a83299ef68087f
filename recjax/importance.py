"""Importance sampling of a softmax's partition: how much a sample tells, and more of it where that is too little."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Sums(NamedTuple):
    """Of r = weight exp(logit) over a row's candidates: log of the sum, and log of the sum of squares."""

    first: Float[Array, " B"]
    second: Float[Array, " B"]


def sums(logits: Float[Array, "B C"], log_weight: Float[Array, "#B #C"], where: Bool[Array, "#B #C"]) -> Sums:
    """Of the candidates that count; -inf, both, for a row without any."""
    log_r = jnp.where(where, logits + log_weight, -jnp.inf)
    top = jax.lax.stop_gradient(jnp.max(log_r, axis=-1, keepdims=True, initial=-jnp.inf))
    top = jnp.where(jnp.isneginf(top), 0.0, top)
    r = jnp.exp(log_r - top)
    return Sums(_log(jnp.sum(r, axis=-1)) + top[:, 0], _log(jnp.sum(r * r, axis=-1)) + 2.0 * top[:, 0])


def effective_size(sums: Sums) -> Float[Array, " B"]:
    """(sum r)² / sum r²: as many candidates of equal r would tell as much; 0 for a row without any.

    Source: Kong 1992; Bengio and Senécal 2003, section 4.

    >>> log_r, where = jnp.log(jnp.array([[1.0, 1.0, 1.0], [2.0, 1.0, 7.0]])), jnp.array([[True, True, False]])
    >>> [round(float(size), 3) for size in effective_size(sums(log_r, jnp.zeros((1, 1)), where))]
    [2.0, 1.8]
    """
    return jnp.where(jnp.isneginf(sums.first), 0.0, jnp.exp(2.0 * sums.first - sums.second))


def join(one: Sums, two: Sums, share: float) -> Sums:
    """Of two independent samples' estimates, averaged with weights `share` and 1 - `share`."""
    left, right = jnp.log(share), jnp.log1p(-share)
    return Sums(
        jnp.logaddexp(one.first + left, two.first + right),
        jnp.logaddexp(one.second + 2.0 * left, two.second + 2.0 * right),
    )


def log_partition(
    begin: Sums,
    count: int,
    more: Sequence[tuple[int, Callable[[], Sums]]],
    whole: tuple[int, Callable[[], Float[Array, " B"]]],
    enough: float,
) -> tuple[Float[Array, " B"], dict[str, Array]]:
    """Log of the sum over negatives: from the first sample if it is enough, else from more, at last from all.

    A later sample is scored only where the batch's mean effective sample size so far is below `enough`; under `vmap`
    all are scored always. Each estimate is unbiased; that a poor one is mended and a good one kept gives their
    choice a bias of its own.

    Args:
        begin: of the first sample, of `count` candidates.
        more: of each further sample its number of candidates, and its sums.
        whole: the number of items in the corpus, and the exact log of the sum.

    Returns:
        The logs, and by name "effective_sample_size" (the corpus's number of items, where all were scored) and
        "scored", the number of candidates a row.
    """

    def settle(found: Sums, count: int, rest: Sequence[tuple[int, Callable[[], Sums]]]):
        size = jnp.mean(effective_size(jax.lax.stop_gradient(found)))

        def enlarge():
            if not rest:
                return whole[1](), jnp.float32(whole[0]), jnp.int32(count + whole[0])
            extra, score = rest[0]
            joined = join(found, jax.checkpoint(score)(), count / (count + extra))
            return settle(joined, count + extra, rest[1:])

        return jax.lax.cond(size >= enough, lambda: (found.first, size, jnp.int32(count)), enlarge)

    total, size, scored = settle(begin, count, more)
    return total, {"effective_sample_size": size, "scored": scored.astype(jnp.float32)}


def _log(value: Array) -> Array:
    """-inf at 0, with a gradient of 0."""
    return jnp.where(value > 0, jnp.log(jnp.where(value > 0, value, 1.0)), -jnp.inf)
