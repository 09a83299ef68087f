"""Losses. One signature: (positive [B P], negative [B C], *, target, where, log_weight, and tunables) -> [B].

Logits in, one number a query out. `target` [B P] is the distribution over the positives (padding has 0), `where`
[B C] says which negatives count for a row, and `log_weight` the log of how much: of the importance weight 1 / expected
count of a sampled negative, times the weight of unobserved pairs. Every sum over negatives then has the sum over the
corpus as its expectation. For the softmax it is the log-q correction: weight exp(logit) = exp(logit - log_q).
What is masked may hold anything, an infinite weight too. A row with neither positives nor negatives gives 0 and finite
gradients.

What else a loss names, with a default, is a tunable: it gets the setting objective.NAME, which may be a tracer.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Logits = Float[Array, "B P"]
Negatives = Float[Array, "B C"]
Where = Bool[Array, "#B #C"]
LogWeight = Float[Array, "#B #C"]
PerQuery = Float[Array, " B"]
Tunable = float | Array


def softmax(positive: Logits, negative: Negatives, *, target: Logits, where: Where, log_weight: LogWeight) -> PerQuery:
    """Cross entropy of the softmax over positives and negatives against the distribution `target`.

    loss = sum(target) log(sum_positive exp(logit) + sum_negative weight exp(logit)) - sum(target logit).
    Over the whole corpus this is the full softmax; over a sample its loss and gradient have a bias that falls with C,
    while the partition inside the logarithm is unbiased.
    Source: Covington et al. 2016, section 3.1; Bengio and Senécal 2003.

    >>> one = jnp.ones((1, 1))
    >>> loss = softmax(one * 2, one * jnp.array([[1.0, 0.0]]), target=one, where=one > 0, log_weight=0 * one)
    >>> print(f"{loss[0]:.4f} = {jnp.log(1 + jnp.exp(-1.0) + jnp.exp(-2.0)):.4f}")
    0.4076 = 0.4076
    """
    partition = _log_partition(positive, negative + log_weight, target > 0, where)
    return jnp.sum(target, axis=-1) * partition - _expect(target, positive)


def logistic(
    positive: Logits, negative: Negatives, *, target: Logits, where: Where, log_weight: LogWeight, bias: Tunable = 0.0
) -> PerQuery:
    """Loss = sum(target softplus(-logit - bias)) + sum(weight softplus(logit + bias)): binary cross entropy of pairs.

    With bias = -log(the negatives' total weight) one positive and all negatives pull alike at logits of 0, so that a
    large weight can be trained: the more they weigh, the nearer is the loss to the softmax (docs/losses.md).
    Source: Mikolov et al. 2013 (negative sampling); Rendle et al. 2020, section 2; the bias: Zhai et al. 2023 (SigLIP).
    """
    observed = _expect(target, jax.nn.softplus(-positive - bias))
    return observed + _total(jax.nn.softplus(negative + bias), where, log_weight)


def squared(positive: Logits, negative: Negatives, *, target: Logits, where: Where, log_weight: LogWeight) -> PerQuery:
    """Loss = sum(target (logit - 1)²) + sum(weight logit²): observed pairs are 1, unobserved ones 0.

    Source: Hu et al. 2008; Rendle et al. 2022, equation 1.
    """
    return _expect(target, (positive - 1.0) ** 2) + _total(negative**2, where, log_weight)


def bpr(positive: Logits, negative: Negatives, *, target: Logits, where: Where, log_weight: LogWeight) -> PerQuery:
    """Loss = sum_p target_p sum_c weight_c softplus(logit_c - logit_p): a positive above each negative.

    Source: Rendle et al. 2009 (Bayesian personalized ranking), section 4.
    """
    return _pairs(jax.nn.softplus, positive, negative, target, where, log_weight)


def hinge(
    positive: Logits, negative: Negatives, *, target: Logits, where: Where, log_weight: LogWeight, margin: Tunable = 1.0
) -> PerQuery:
    """Loss = sum_p target_p sum_c weight_c max(0, margin + logit_c - logit_p); a margin in units of the temperature.

    Source: Weston et al. 2011 (WSABIE), without its rank weights.
    """
    return _pairs(lambda difference: jax.nn.relu(margin + difference), positive, negative, target, where, log_weight)


def warp(
    positive: Logits, negative: Negatives, *, target: Logits, where: Where, log_weight: LogWeight, margin: Tunable = 1.0
) -> PerQuery:
    """Loss = sum_p target_p (1 + 1/2 + ... + 1/rank_p) mean_c max(0, margin + logit_c - logit_p).

    The mean is over the negatives that violate, logit_c > logit_p - margin, by weight. Their total weight estimates
    rank_p, how many items of the corpus violate; it has no gradient, and the digamma function continues the harmonic
    sum between whole ranks. WSABIE instead draws negatives one by one until one violates, takes (N - 1) / draws for the
    rank and steps for that one; over the whole corpus ours is the mean of such steps at the true rank.
    Source: Weston et al. 2011 (WSABIE).

    >>> one = jnp.ones((1, 1))
    >>> negative = jnp.array([[1.0, 0.5, -9.0]])
    >>> print(warp(one, negative, target=one, where=one > 0, log_weight=0 * one)[0], (1 + 1 / 2) * (1 + 0.5) / 2)
    1.125 1.125
    """
    rank = _pairs_of(lambda difference: margin + difference > 0, positive, negative, target, where, log_weight)
    cost = _pairs_of(lambda difference: jax.nn.relu(margin + difference), positive, negative, target, where, log_weight)
    rank = jax.lax.stop_gradient(rank)
    harmonic = jax.scipy.special.digamma(rank + 1) + np.euler_gamma
    return _expect(target, harmonic * cost / jnp.where(rank > 0, rank, 1.0))


def ccl(
    positive: Logits,
    negative: Negatives,
    *,
    target: Logits,
    where: Where,
    log_weight: LogWeight,
    threshold: Tunable = 0.0,
) -> PerQuery:
    """Loss = sum(target max(0, 1 - logit)) + sum(weight max(0, logit - threshold)): the cosine contrastive loss.

    Meant for score = "cosine". Its authors call the threshold the margin m, and take w times the mean over negatives:
    that is unobserved_weight = w / N, with N items. Source: Mao et al. 2021 (SimpleX).
    """
    return _expect(target, jax.nn.relu(1.0 - positive)) + _total(jax.nn.relu(negative - threshold), where, log_weight)


def gbce(
    positive: Logits,
    negative: Negatives,
    *,
    target: Logits,
    where: Where,
    log_weight: LogWeight,
    calibration: Tunable = 0.75,
    bias: Tunable = 0.0,
) -> PerQuery:
    """Loss = beta sum(target softplus(-logit)) + alpha sum(weight softplus(logit)), beta = 1 - calibration (1 - alpha).

    alpha = 1 / (mean weight of the row's negatives) is the rate of sampling: for k uniform draws from N items a weight
    is N / k, so alpha = k / N (in the paper k / (N - 1)), and each negative counts once. The fewer, the less the
    positive weighs: beta is the paper's alpha (t (1 - 1 / alpha) + 1 / alpha). calibration = 0 is binary cross entropy
    on the sample, 1 is `logistic` times alpha: calibrated as on all items. Over the whole corpus both are `logistic`.
    All that an unobserved weight does is to divide alpha by it. The bias is added to each logit, as in `logistic`.
    Source: Petrov and Macdonald 2023 (gSASRec).
    """
    counts = _counts(where, log_weight, negative)
    total = jnp.sum(jnp.where(counts, jnp.exp(log_weight), 0.0), axis=-1)
    alpha = jnp.where(total > 0, jnp.sum(counts, axis=-1) / jnp.where(total > 0, total, 1.0), 1.0)
    beta = 1.0 - calibration * (1.0 - alpha)
    observed = _expect(target, jax.nn.softplus(-positive - bias))
    return beta * observed + alpha * _total(jax.nn.softplus(negative + bias), where, log_weight)


def nce(
    positive: Logits, negative: Negatives, *, target: Logits, where: Where, log_weight: LogWeight, bias: Tunable = 0.0
) -> PerQuery:
    """Loss = sum(target softplus(-logit)) + sum(softplus(logit + log weight)): logistic on log-q-corrected logits.

    A negative counts once, whatever its weight. With objective.correction = "all" the positive's logit too loses its
    log_q: noise contrastive estimation, whose best logits are log p(item | query) if no accidental hit is masked. The
    bias is added to each logit, as in `logistic`.
    Source: Gutmann and Hyvärinen 2010; Mnih and Teh 2012.
    """
    corrected = jax.nn.softplus(jnp.where(where, negative + bias + log_weight, 0.0))
    return _expect(target, jax.nn.softplus(-positive - bias)) + _total(corrected, where, jnp.zeros((1, 1)))


def bsl(
    positive: Logits,
    negative: Negatives,
    *,
    target: Logits,
    where: Where,
    log_weight: LogWeight,
    ratio: Tunable = 1.0,
    exponent: Tunable = 1.0,
) -> PerQuery:
    """Loss = exponent ratio log(sum(weight exp(logit / ratio))) - log(sum(target exp(logit))): the bilateral softmax.

    No positive is in the denominator, and several are averaged inside the logarithm. The paper's temperatures are
    t1 = objective.temperature and t2 = ratio t1. The authors' program divides all scores by t1; the t2 of its
    settings is our exponent. A row without negatives gives 0.
    Source: Wu et al. 2024 (BSL), and github.com/junkangwu/BSL, utils/losses.py.
    """
    counts = _counts(where, log_weight, negative)
    above = _log_sum(positive + jnp.log(target), target > 0)
    below = exponent * ratio * _log_sum(negative / ratio + log_weight, counts)
    return jnp.where(jnp.any(target > 0, axis=-1) & jnp.any(counts, axis=-1), below - above, 0.0)


@jax.custom_vjp
def _log_partition(positive: Logits, negative: Negatives, exists: Bool[Array, "B P"], where: Where) -> PerQuery:
    """log(sum_positive exp(logit) + sum_negative exp(logit)); 0 for a row without logits.

    Its gradient is the softmax, which the value has at hand: one exponential a logit for both.
    """
    return _log_partition_forward(positive, negative, exists, where)[0]


def _log_partition_forward(positive, negative, exists, where):
    logits = jnp.where(exists, positive, -jnp.inf), jnp.where(where, negative, -jnp.inf)
    top = jnp.maximum(*(jnp.max(one, axis=-1, keepdims=True, initial=-jnp.inf) for one in logits))
    top = jnp.where(jnp.isneginf(top), 0.0, top)
    exponentials = [jnp.exp(one - top) for one in logits]
    total = sum(jnp.sum(one, axis=-1, keepdims=True) for one in exponentials)
    total = jnp.where(total > 0, total, 1.0)
    return (top + jnp.log(total))[:, 0], (exponentials, total)


def _log_partition_backward(kept, cotangent):
    exponentials, total = kept
    return *(one * (cotangent[:, None] / total) for one in exponentials), None, None


_log_partition.defvjp(_log_partition_forward, _log_partition_backward)


def _log_sum(logits: Negatives, where: Where) -> PerQuery:
    none = jnp.zeros((logits.shape[0], 0))
    return _log_partition(none, logits, none > 0, where)


def _counts(where: Where, log_weight: LogWeight, negative: Negatives) -> Bool[Array, "B C"]:
    """Which negatives are there and weigh anything."""
    return jnp.broadcast_to(where & (log_weight > -jnp.inf), negative.shape)


def _expect(target: Logits, value: Logits) -> PerQuery:
    return jnp.sum(target * jnp.where(target > 0, value, 0.0), axis=-1)


def _total(value: Negatives, where: Where, log_weight: LogWeight) -> PerQuery:
    return jnp.sum(jnp.where(where, jnp.exp(log_weight), 0.0) * jnp.where(where, value, 0.0), axis=-1)


def _pairs(function, positive, negative, target, where, log_weight):
    return _expect(target, _pairs_of(function, positive, negative, target, where, log_weight))


def _pairs_of(function, positive, negative, target, where, log_weight) -> Logits:
    """sum_c weight_c function(logit_c - logit_p) of each positive."""
    difference = negative[:, None, :] - positive[:, :, None]
    value = jnp.where((target > 0)[:, :, None] & where[:, None, :], function(difference), 0.0)
    return jnp.einsum("bc,bpc->bp", jnp.broadcast_to(jnp.where(where, jnp.exp(log_weight), 0.0), negative.shape), value)
