"""Small linear algebra on embedding matrices."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def gramian(rows: Float[Array, "B D"], weight: Float[Array, " B"] | None = None) -> Float[Array, "D D"]:
    """The mean of row rowᵀ, weighted where a weight is given: rowsᵀ diag(weight) rows / sum(weight).

    The mean square over all pairs of two sets of rows is the inner product of their Gramians:

    >>> u, v = jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 1.0], [0.0, 1.0]])
    >>> float(jnp.sum(gramian(u) * gramian(v))), float(jnp.mean((u @ v.T) ** 2))
    (14.5, 14.5)
    """
    if weight is None:
        return rows.T @ rows / rows.shape[0]
    total = jnp.sum(weight)
    return (rows * weight[:, None]).T @ rows / jnp.where(total > 0, total, 1.0)


def unit(rows: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
    """Each row divided by its norm; a zero row stays zero, with finite gradients.

    >>> unit(jnp.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    square = jnp.sum(rows * rows, axis=-1, keepdims=True)
    exists = square > 0
    # The inner where keeps the gradient of a zero row finite.
    return rows * jnp.where(exists, 1.0 / jnp.sqrt(jnp.where(exists, square, 1.0)), 0.0)
