"""The objective of matrix factorization by weighted least squares over all pairs.

With ŷ_ij = <query_i, item_j>, and values a and weights w of what was observed:

    sum_obs w (a - ŷ)² + α0 sum_all ŷ² + λ (sum_i #_i^ν |query_i|² + sum_j #_j^ν |item_j|²)

where #_i = |observed items of i| + α0 N and #_j = |observed queries of j| + α0 M. An interaction that occurs twice is
observed twice. Source: Rendle, Krichene, Zhang, Koren 2022 (revisiting the performance of iALS).

With `all_pairs = False` α0 weighs the unobserved pairs alone, as w0 does in Google's recommender course. That is, up to
a constant, the first form with weights w - α0 and values w a / (w - α0). There a pair should not occur twice: it would
be taken out of the unobserved pairs twice.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from recjax.types import Interactions


class Coefficients(NamedTuple):
    """The objective's numbers; all but the last may be tracers."""

    unobserved_weight: Array | float  # α0
    regularization: Array | float  # λ
    exponent: Array | float = 1.0  # ν
    all_pairs: bool = True


class Objective(NamedTuple):
    """The parts of the objective. Each of them is a sum, not a mean."""

    observed: Float[Array, ""]
    unobserved: Float[Array, ""]
    regularization: Float[Array, ""]


def objective(
    queries: Float[Array, "M D"],
    items: Float[Array, "N D"],
    interactions: Interactions,
    coefficients: Coefficients,
    value: Float[Array, " E"] | Float[Array, ""] | float = 1.0,
) -> Objective:
    """The objective as it is written above. No [M N] array is made: the sum over all pairs goes through Gramians.

    >>> import numpy as np
    >>> seen = Interactions(np.array([0]), np.array([1]), np.array([1.0]), None)
    >>> found = objective(jnp.array([[1.0]]), jnp.array([[2.0], [0.5]]), seen, Coefficients(0.1, 0.01))
    >>> [round(float(part), 4) for part in found]  # (1 - .5)², .1 (2² + .5²), .01 (1.2 · 1² + .1 · 2² + 1.1 · .5²)
    [0.25, 0.425, 0.0188]
    """
    query, item, weight = (jnp.asarray(part) for part in interactions[:3])

    def score(pair):
        return jnp.sum(queries[pair[0]].astype(jnp.float32) * items[pair[1]].astype(jnp.float32))

    scores = jax.lax.map(score, (query, item), batch_size=8192)
    unobserved = jnp.sum(gramian(queries) * gramian(items))
    if not coefficients.all_pairs:
        unobserved -= jnp.sum(scores**2)

    def regularization(rows, ids, others):
        return penalty(rows, ridge(jnp.zeros(len(rows)).at[ids].add(1.0), others, coefficients))

    return Objective(
        jnp.sum(weight * (jnp.asarray(value) - scores) ** 2),
        coefficients.unobserved_weight * unobserved,
        regularization(queries, query, len(items)) + regularization(items, item, len(queries)),
    )


def gramian(rows: Float[Array, "B D"]) -> Float[Array, "D D"]:
    """The sum of row rowᵀ, in float32."""
    highest = jax.lax.Precision.HIGHEST
    return jnp.einsum("bd,be->de", rows, rows, precision=highest, preferred_element_type=jnp.float32)


def ridge(count: Float[Array, " B"], others: Int[Array, ""] | int, coefficients: Coefficients) -> Float[Array, " B"]:
    """λ #^ν of rows with `count` interactions, where the other side has `others` rows."""
    unobserved = coefficients.unobserved_weight * others
    return coefficients.regularization * (count + unobserved) ** coefficients.exponent


def penalty(rows: Float[Array, "B D"], ridge: Float[Array, " B"]) -> Float[Array, ""]:
    """The sum of ridge · |row|²."""
    return jnp.sum(ridge * jnp.sum(rows.astype(jnp.float32) ** 2, axis=1))
