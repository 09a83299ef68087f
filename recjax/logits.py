"""From scores to what enters a loss, and to probabilities over the corpus."""

import jax
from jaxtyping import Array, Bool, Float


def scale(scores: Float[Array, "B C"], temperature: float | Array) -> Float[Array, "B C"]:
    """Logit = score / temperature."""
    return scores / temperature


def correct(logits: Float[Array, "B C"], log_q: Float[Array, "*#B C"]) -> Float[Array, "B C"]:
    """Logit - log_q: the log-q correction, with log_q the log of the expected count among the candidates.

    With it, sum(exp(logit)) over sampled candidates has the sum over the corpus as its expectation.
    log_q is never clipped. Source: Bengio and Senécal 2003; Yi et al. 2019, section 3.
    """
    return logits - log_q


def softmax(logits: Float[Array, "B N"], where: Bool[Array, "B N"] | None = None) -> Float[Array, "B N"]:
    """p̂ = exp(logit) / sum(exp(logit)) over the corpus; softmax(alpha y) tends to the hard max as alpha grows.

    >>> import jax.numpy as jnp
    >>> for alpha in (0, 1, 9):
    ...     print(*(f"{p:.3f}" for p in softmax(alpha * jnp.array([[1.0, 3.0, 2.0]]))[0]))
    0.333 0.333 0.333
    0.090 0.665 0.245
    0.000 1.000 0.000
    """
    return jax.nn.softmax(logits, axis=-1, where=where)


def log_softmax(logits: Float[Array, "B N"], where: Bool[Array, "B N"] | None = None) -> Float[Array, "B N"]:
    """Log p̂ = logit - log sum(exp(logit)) over the corpus."""
    return jax.nn.log_softmax(logits, axis=-1, where=where)
