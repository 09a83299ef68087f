"""Samplers that look at the model: a pool of candidates is scored once, and `refine` decides who of them counts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from recjax import configs, importance
from recjax.samplers import proposals, static
from recjax.types import Batch, Candidates, Data, Params, Sampler

HALVINGS = 15  # of the interval of a row's logits, in the search for the one that the hardest have
GROUPS = 32  # of a row's logits that are counted side by side: at most what a byte counts
LEARN = 128  # rows of a batch that an adaptive proposal learns from
GOLDEN = 0.6180339887


def hard(settings: configs.Sampler) -> Sampler:
    """The hardest of a uniform pool of `negatives`: for each row the `hard_share` with the highest logits.

    The share falls from 1 to `hard_share` over the first `hard_steps` steps, on a straight line. Each one keeps the
    weight that it has in the pool: the sum over negatives lacks the easy ones, a bias by design.
    """
    proposals.only(settings, "hard_share", "hard_steps")
    pool = static.uniform(configs.Sampler(negatives=settings.negatives))

    def init(data: Data, params: Params | None):
        return pool.init(data, params), jnp.zeros((), jnp.int32)

    def sample(key, state, batch: Batch):
        found, inner = pool.sample(key, state[0], batch)
        return found, (inner, state[1])

    def refine(key, state, batch: Batch, found: Candidates, positive, negative):
        inner, step = state
        done = jnp.minimum(step / max(settings.hard_steps, 1), 1.0) if settings.hard_steps else 1.0
        share = 1.0 + (settings.hard_share - 1.0) * done
        where = hardest(negative, found.where, jnp.ceil(share * negative.shape[1]))
        return found._replace(where=where), (inner, step + 1), {}

    return Sampler(init, sample, refine=refine)


def score_proportional(settings: configs.Sampler) -> Sampler:
    """Candidates that follow the model's own softmax: each row keeps some of a uniform pool of `negatives`.

    Of the pool, candidate j stays with probability P_j = min(1, `resampled` · softmax_j). Given the pool its weight,
    N / C · 1 / P_j, is unbiased for any sum over it, and varies less than that of copies would.
    Source: sampling-importance-resampling, Rubin 1987; without copies as Horvitz and Thompson 1952.
    """
    proposals.only(settings, "resampled")
    pool = static.uniform(configs.Sampler(negatives=settings.negatives))

    def refine(key, state, batch: Batch, found: Candidates, positive, negative):
        logits = jnp.where(found.where, negative, -jnp.inf)
        top = jnp.max(logits, axis=-1, keepdims=True, initial=jnp.finfo(logits.dtype).min)
        r = jnp.exp(logits - top)
        sure = jnp.maximum(jnp.sum(r, axis=-1, keepdims=True), 1.0) / settings.resampled  # the least r of P = 1
        # One random number a row, turned on by the golden section from column to column: each is uniform.
        turn = jax.random.uniform(key, (len(logits), 1)) + GOLDEN * jnp.arange(logits.shape[1])
        log_p = jnp.minimum(negative - (top + jnp.log(sure)), 0.0)
        return found._replace(log_q=found.log_q + log_p, where=(turn - jnp.floor(turn)) * sure < r), state, {}

    return Sampler(pool.init, pool.sample, refine=refine)


class Adaptive(NamedTuple):
    """What the proposal has learned. `square[i]`: the mean over queries of the squared probability of item i."""

    square: Float[Array, " N"]
    combs: tuple[proposals.Comb, ...]  # of each sample: the first, and those that may have to follow
    items: Int[Array, ""]  # N
    step: Int[Array, ""]


def adaptive(settings: configs.Sampler) -> Sampler:
    """Importance sampling by a proposal that follows the model: expected counts ~ root mean squared probability.

    `negatives` candidates, shared by the batch, are a systematic sample: none twice, and what the model often thinks
    likely every time. After each step the squared probabilities that the batch gave its candidates move the
    proposal's (by `rate`), which is built anew every `refresh` steps, O(N); `floor` of it is uniform. This proposal
    minimizes the mean over queries of the relative variance of the partition estimate, among those that all
    queries share: the variance is about sum_i p_i² / count_i. It learns from the first 128 examples of a batch, of
    which the reported effective sample size is the mean too.

    With `enough` above 0 the effective sample size of a batch (its mean over rows) is compared with it, and where it
    is below, another sample of C, then of 2 C, then the whole corpus is scored, one after another. The whole corpus
    makes the item tower's tables be trained densely; under `vmap` all are computed in every step.
    Source: Bengio and Senécal 2003 (effective sample size, more samples, the full sum last), 2008 (a proposal that
    adapts); the form of the proposal is ours.
    """
    proposals.only(settings, "rate", "floor", "refresh", "enough")
    sizes = (settings.negatives, *((settings.negatives, 2 * settings.negatives) if settings.enough else ()))

    def combs(square: Float[Array, " N"]) -> tuple[proposals.Comb, ...]:
        root = jnp.sqrt(square)
        weights = (1.0 - settings.floor) * root / jnp.sum(root) + settings.floor / root.shape[0]
        return tuple(proposals.comb(weights, size) for size in sizes)

    def init(data: Data, params: Params | None):
        square = (jnp.asarray(proposals.counts(data)) / len(data.interactions.item)) ** 2
        square = square.astype(jnp.float32)
        return Adaptive(square, combs(square), proposals.corpus_size(data, params), jnp.zeros((), jnp.int32))

    def sample(key, state: Adaptive, batch: Batch):
        found = []
        for number, (size, comb) in enumerate(zip(sizes, state.combs, strict=True)):
            ids = proposals.lay(jax.random.fold_in(key, number), comb, size)
            found.append(proposals.candidates(batch, ids, comb.log_q[ids], comb.log_q[batch.positive]))
        rest = (*found[1:], static.whole(batch, state.items)) if settings.enough else ()
        return found[0]._replace(more=rest), state

    def refine(key, state: Adaptive, batch: Batch, found: Candidates, positive, negative):
        positive, negative, where, target = (one[:LEARN] for one in (positive, negative, found.where, batch.target))
        sums = importance.sums(negative, -jnp.atleast_2d(found.log_q), where)
        own = jax.nn.logsumexp(jnp.where(target > 0, positive, -jnp.inf), axis=-1)
        log_p = jnp.where(where, negative, -jnp.inf) - jnp.logaddexp(own, sums.first)[:, None]
        square = state.square.at[found.ids].multiply(1.0 - settings.rate)
        square = square.at[found.ids].add(settings.rate * jnp.mean(jnp.exp(2.0 * log_p), axis=0))
        step = state.step + 1
        again = jax.lax.cond(step % settings.refresh == 0, lambda: combs(square), lambda: state.combs)
        metrics = {"effective_sample_size": jnp.mean(importance.effective_size(sums))}
        return found, Adaptive(square, again, state.items, step), metrics

    return Sampler(init, sample, refine=refine, enough=settings.enough)


def hardest(logits: Float[Array, "B C"], where: Bool[Array, "B C"], count: Array | int) -> Bool[Array, "B C"]:
    """Of each row the `count` highest logits among `where`, by bisection: `count` may be a tracer, nothing is sorted.

    Logits closer than 2^-15 of their row's range may all be in, or all out: the range of all, also of those that are
    not among `where`, which have to be finite.

    >>> logits, where = jnp.array([[3.0, 1.0, 2.0, 9.0]]), jnp.array([[True, True, True, False]])
    >>> hardest(logits, where, 2).tolist()
    [[True, False, True, False]]
    """
    rows, columns = logits.shape
    among = jnp.pad(jnp.where(where, logits, -jnp.inf), ((0, 0), (0, -columns % GROUPS)), constant_values=-jnp.inf)
    low, high = jnp.min(logits, axis=-1, keepdims=True), jnp.max(among, axis=-1, keepdims=True)

    def halve(_, bounds):
        low, high = bounds
        middle = 0.5 * (low + high)
        # Counted in bytes first: XLA's CPU compiler adds them up as it compares, and else writes an integer for each.
        some = jnp.sum((among >= middle).reshape(rows, GROUPS, -1), axis=1, dtype=jnp.int8)
        many = jnp.sum(some, axis=-1, keepdims=True, dtype=jnp.int32) >= count
        return jnp.where(many, middle, low), jnp.where(many, high, middle)

    low, _ = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
    return where & (logits >= low)
