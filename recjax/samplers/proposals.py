"""Distributions over the corpus in ticks of 2^-32, and what every sampler does with the ids that it draws.

A draw is a binary search of integers, and log_q is the log of what is really drawn, never clipped.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from recjax import configs, fields
from recjax.types import Batch, Candidates, Data, Key, Params


class Proposal(NamedTuple):
    """Item i is drawn by bits in [bounds[i - 1], bounds[i]); the last bound is 2^32 and left out."""

    bounds: Array  # [N - 1] uint32
    log_q: Float[Array, " N"]  # of one draw


def proposal(weights: np.ndarray) -> Proposal:
    """Draws with probabilities ~ weights [N]; every item has a tick at least."""
    ticks = np.maximum(1, np.floor(weights / weights.sum() * 2.0**32)).astype(np.int64)
    ticks[np.argmax(ticks)] += 2**32 - ticks.sum()
    bounds = np.cumsum(ticks)[:-1].astype(np.uint32)
    return Proposal(jnp.asarray(bounds), jnp.asarray(np.log(ticks * 2.0**-32), jnp.float32))


def draw(key: Key, proposal: Proposal, count: int) -> Int[Array, " C"]:
    """Independent draws, with replacement."""
    bits = jax.random.bits(key, (count,), jnp.uint32)
    return jnp.searchsorted(proposal.bounds, bits, side="right").astype(jnp.int32)


class Comb(NamedTuple):
    """A systematic sample's ticks: a comb with a tooth every `gap` ticks is laid over the items at random.

    Item i has `ticks[i]`, and as many teeth fall on it as its expected count ticks[i] / gap says, but for a fraction:
    none or one where the count is below 1. So nothing is drawn twice, and an item of count 1 is drawn every time.
    Source: Madow 1949 (systematic sampling with probabilities proportional to size).
    """

    bounds: Array  # [N] uint32: the sums of the ticks up to each item
    gap: Array  # [] uint32
    log_q: Float[Array, " N"]  # of the sample


def comb(weights: Float[Array, " N"], count: int) -> Comb:
    """Expected counts ~ weights, but none above 1 (to the rounding of a tick)."""
    size = weights.shape[0]
    share = weights / jnp.sum(weights)
    for _ in range(4):  # what is cut off an item goes to the others, a few of which may now be above 1 themselves
        cut = count * share >= 1.0
        rest = jnp.maximum(1.0 - jnp.sum(cut) / count, 1e-6)
        share = jnp.where(cut, 1.0 / count, share * rest / jnp.maximum(jnp.sum(jnp.where(cut, 0.0, share)), 1e-30))
    # Sums of float32 may round up by a few 1e-7 an item: the margin keeps the last bound below 2^32.
    ticks = jnp.maximum(share * jnp.float32(0.99 * (2.0**32 - 2 * size)), 1.0).astype(jnp.uint32)
    gap = jnp.sum(ticks) // jnp.uint32(count)
    ticks = ticks.at[jnp.argmax(ticks)].add(gap * jnp.uint32(count) - jnp.sum(ticks))  # wraps around: a subtraction
    log_q = jnp.log(ticks.astype(jnp.float32)) - jnp.log(gap.astype(jnp.float32))
    return Comb(jnp.cumsum(ticks), gap, log_q)


def lay(key: Key, comb: Comb, count: int) -> Int[Array, " C"]:
    """The ids under the teeth, in rising order."""
    first = jax.random.bits(key, (), jnp.uint32) % comb.gap
    teeth = first + jnp.arange(count, dtype=jnp.uint32) * comb.gap
    return jnp.searchsorted(comb.bounds, teeth, side="right").astype(jnp.int32)


def candidates(batch: Batch, ids: Int[Array, "*B C"], log_q: Array, positive_log_q: Float[Array, "B P"]) -> Candidates:
    """Candidates without accidental hits."""
    return Candidates(ids, log_q, ~_accidental_hits(batch, ids), positive_log_q)


def _accidental_hits(batch: Batch, ids: Int[Array, "*B C"]) -> Bool[Array, "B C"]:
    hit = (jnp.atleast_2d(ids)[:, :, None] == batch.positive[:, None, :]) & (batch.target > 0)[:, None, :]
    return jnp.any(hit, axis=-1)


def counts(data: Data) -> np.ndarray:
    """[N]: how often each item is a positive in an epoch, at least 1: an item that nobody met can be drawn too."""
    return np.maximum(np.asarray(data.frequency, np.float64) * len(data.interactions.item), 1.0)


def corpus_size(data: Data, params: Params | None) -> Int[Array, ""]:
    return jnp.asarray(len(data.frequency), jnp.int32)


def only(settings: configs.Sampler, *names: str) -> None:
    """Refuses settings that the sampler does not read.

    Args:
        names: of the fields that it reads, beside `name`, `negatives` and `mask_known`.
    """
    unread = [one for one in vars(settings) if one not in ("name", "negatives", "mask_known", *names)]
    fields.refuse_unread(settings, configs.Sampler(), unread, f"sampler.name={settings.name!r}", "sampler.")
