"""How often items are in a batch, estimated from the stream of batches in memory that does not grow with the corpus.

An item that is met every 50 steps is in a batch with probability 1 / 50. So a moving average of the steps between two
meetings is kept in a bucket that ids are hashed to. Items that share a bucket are met too often there; each of m hash
functions has its own H buckets, and the longest gap is the least disturbed.

Source: Yi et al. 2019, section 4, algorithm 3.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from recjax.errors import InputError


class Frequency(NamedTuple):
    """What is kept of a bucket. Arrays only: a sampler's state, as it is, under jit, scan and vmap."""

    last: Int[Array, "m H"]  # the step that met it last
    gap: Float[Array, "m H"]  # moving average of the steps between two batches that meet it
    times: Float[Array, "m H"]  # moving average of how often a batch that meets it does so


def init(hashes: int, buckets: int, gap: float) -> Frequency:
    """Buckets that no batch has met: each is taken to be met once every `gap` steps.

    With `buckets` at least N and ids in [0, N) nothing is shared: one hash function is enough, and exact.

    >>> init(hashes=2, buckets=3, gap=100.0).gap.shape
    (2, 3)
    """
    for name, value in (("hashes", hashes), ("buckets", buckets), ("gap", gap)):
        if value < 1:
            raise InputError(f"{name} is {value}; wanted a value at least 1; type for example {name}=1")
    shape = (hashes, buckets)
    return Frequency(jnp.full(shape, -1, jnp.int32), jnp.full(shape, gap, jnp.float32), jnp.ones(shape, jnp.float32))


def update(
    state: Frequency,
    step: Int[Array, ""] | int,
    ids: Int[Array, "*B"],
    *,
    rate: Float[Array, ""] | float,
    where: Bool[Array, "*B"] | None = None,
) -> Frequency:
    """The state after a batch: gap <- (1 - rate) gap + rate (step - last) in each bucket that it meets; times likewise.

    A bucket is met once a batch, however often its items are in it, so that no gap is 0: all duplicates write the same
    number. `times` keeps how often.

    Args:
        step: from 0, and larger than in the call before.
        rate: of the moving averages, in (0, 1]: more follows a change sooner, and is noisier in the end.
        where: which ids exist; None: all.

    >>> state = init(hashes=1, buckets=4, gap=10.0)
    >>> for step, ids in enumerate([[0, 1, 1], [2, 1, 1], [3, 1, 1]]):
    ...     state = update(state, step, jnp.array(ids), rate=0.5)
    >>> state.gap.tolist(), state.times.tolist()
    ([[5.5, 2.125, 6.0, 6.5]], [[1.0, 1.875, 1.0, 1.0]])
    """
    row, bucket = _places(state, ids)
    if where is not None:
        bucket = jnp.where(where, bucket, state.gap.shape[1])  # past the end, and so dropped

    def read(table: Array) -> Array:
        return table.at[row, bucket].get(mode="fill", fill_value=0)

    gap = (1 - rate) * read(state.gap) + rate * (step - read(state.last))
    kept = state.times.at[row, bucket].set((1 - rate) * read(state.times), mode="drop")
    return Frequency(
        last=state.last.at[row, bucket].set(step, mode="drop"),
        gap=state.gap.at[row, bucket].set(gap, mode="drop"),
        times=kept.at[row, bucket].add(rate, mode="drop"),
    )


def probability(state: Frequency, ids: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """The probability that an item is in a batch at all: 1 / max over the hash functions of gap.

    It is too high by about rate / 2 of itself at most, as the mean of 1 / gap is above 1 / the mean of gap.
    """
    return 1.0 / jnp.max(state.gap[_places(state, ids)], axis=0)


def expected_count(state: Frequency, ids: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """How many times an item is in a batch on average, duplicates counted: min over the hash functions of times / gap.

    For a batch of B examples whose items are drawn with replacement, each an item with probability f, that is B f, and
    the probability 1 - (1 - f)^B says less and less of it as it comes near 1. Where a batch holds no item twice the
    two are the same. Among the B - 1 other examples of a row an item is expected (B - 1) / B times this.

    >>> state = init(hashes=1, buckets=4, gap=10.0)
    >>> for step in range(20):
    ...     state = update(state, step, jnp.array([1, 1, 1]), rate=0.5)
    >>> f"{probability(state, jnp.array(1)):.2f} {expected_count(state, jnp.array(1)):.2f}"
    '1.00 3.00'
    """
    places = _places(state, ids)
    return jnp.min(state.times[places] / state.gap[places], axis=0)


def _places(state: Frequency, ids: Int[Array, "*B"]) -> tuple[Int[Array, "m ..."], Int[Array, "m ..."]]:
    """The row and the bucket of each id in each hash function. The first is id mod H, the others mix the bits first."""
    hashes, buckets = state.gap.shape
    row = jnp.arange(hashes).reshape(-1, *(1,) * ids.ndim)
    x = ids.astype(jnp.uint32)
    mixed = _mix(_mix(x) + row.astype(jnp.uint32) * jnp.uint32(0x9E3779B9))
    return row, (jnp.where(row == 0, x, mixed) % jnp.uint32(buckets)).astype(jnp.int32)


def _mix(x: Array) -> Array:
    """A bijection of 32 bits in which each bit of the input turns about half of the output's.

    Source: Chris Wellons 2018, the hash prospector's lowbias32.
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
