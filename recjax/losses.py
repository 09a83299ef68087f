"""Losses. One signature: (positive [B P], negative [B C], *, target, where, weight) -> [B].

Logits in, one number a query out. `target` [B P] is the distribution over the positives (padding has 0), `where`
[B C] says which negatives count for a row, and `weight` how much: the importance weight 1 / expected count of a
sampled negative, times the weight of unobserved pairs. Every sum over negatives then has the sum over the corpus as
its expectation. For the softmax a weight is the log-q correction: weight exp(logit) = exp(logit - log_q).
What is masked may hold anything, an infinite weight too. A row with neither positives nor negatives gives 0 and finite
gradients.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Logits = Float[Array, "B P"]
Negatives = Float[Array, "B C"]
Where = Bool[Array, "#B #C"]
Weight = Float[Array, "#B #C"]
PerQuery = Float[Array, " B"]


def softmax(positive: Logits, negative: Negatives, *, target: Logits, where: Where, weight: Weight) -> PerQuery:
    """Cross entropy of the softmax over positives and negatives against the distribution `target`.

    loss = sum(target) log(sum_positive exp(logit) + sum_negative weight exp(logit)) - sum(target logit).
    Over the whole corpus this is the full softmax; over a sample its loss and gradient have a bias that falls with C,
    while the partition inside the logarithm is unbiased.
    Source: Covington et al. 2016, section 3.1; Bengio and Senécal 2003.

    >>> one = jnp.ones((1, 1))
    >>> loss = softmax(one * 2, one * jnp.array([[1.0, 0.0]]), target=one, where=one > 0, weight=one)
    >>> print(f"{loss[0]:.4f} = {jnp.log(1 + jnp.exp(-1.0) + jnp.exp(-2.0)):.4f}")
    0.4076 = 0.4076
    """
    log_weight = jnp.log(jnp.where(weight > 0, weight, 1.0))
    partition = _log_partition(positive, negative + log_weight, target > 0, where & (weight > 0))
    return jnp.sum(target, axis=-1) * partition - _expect(target, positive)


def logistic(positive: Logits, negative: Negatives, *, target: Logits, where: Where, weight: Weight) -> PerQuery:
    """Loss = sum(target softplus(-logit)) + sum(weight softplus(logit)): binary cross entropy, one value a pair.

    Source: Mikolov et al. 2013 (negative sampling); Rendle et al. 2020, section 2.
    """
    return _expect(target, jax.nn.softplus(-positive)) + _total(jax.nn.softplus(negative), where, weight)


def squared(positive: Logits, negative: Negatives, *, target: Logits, where: Where, weight: Weight) -> PerQuery:
    """Loss = sum(target (logit - 1)²) + sum(weight logit²): observed pairs are 1, unobserved ones 0.

    Source: Hu et al. 2008; Rendle et al. 2022, equation 1.
    """
    return _expect(target, (positive - 1.0) ** 2) + _total(negative**2, where, weight)


def bpr(positive: Logits, negative: Negatives, *, target: Logits, where: Where, weight: Weight) -> PerQuery:
    """Loss = sum_p target_p sum_c weight_c softplus(logit_c - logit_p): a positive above each negative.

    Source: Rendle et al. 2009 (Bayesian personalized ranking), section 4.
    """
    return _pairs(jax.nn.softplus, positive, negative, target, where, weight)


def hinge(positive: Logits, negative: Negatives, *, target: Logits, where: Where, weight: Weight) -> PerQuery:
    """Loss = sum_p target_p sum_c weight_c max(0, 1 + logit_c - logit_p): a margin of 1, in units of the temperature.

    Source: Weston et al. 2011 (WSABIE), without its rank weights.
    """
    return _pairs(lambda difference: jax.nn.relu(1.0 + difference), positive, negative, target, where, weight)


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


def _expect(target: Logits, value: Logits) -> PerQuery:
    return jnp.sum(target * jnp.where(target > 0, value, 0.0), axis=-1)


def _total(value: Negatives, where: Where, weight: Weight) -> PerQuery:
    return jnp.sum(jnp.where(where, weight, 0.0) * jnp.where(where, value, 0.0), axis=-1)


def _pairs(function, positive, negative, target, where, weight):
    difference = negative[:, None, :] - positive[:, :, None]
    value = jnp.where((target > 0)[:, :, None] & where[:, None, :], function(difference), 0.0)
    return jnp.einsum("bp,bc,bpc->b", target, jnp.broadcast_to(jnp.where(where, weight, 0.0), negative.shape), value)
