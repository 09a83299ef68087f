"""Small linear algebra on embedding matrices."""

import jax
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


def solve(matrix: Float[Array, "B D D"], right: Float[Array, "B D"], size: int = 8) -> Float[Array, "B D"]:
    """Solves B symmetric positive definite systems, by Gauss-Jordan elimination of blocks of `size` columns.

    2 D³ flops a system, nearly all of them in matrix products, and no LAPACK (see `recjax.solvers`). Where the matrix
    is singular in its precision, a direction whose pivot vanishes gets 0.

    >>> solve(jnp.array([[[4.0, 2.0], [2.0, 3.0]]]), jnp.array([[8.0, 8.0]])).tolist()
    [[1.0, 2.0]]
    """
    dimension = right.shape[1]
    blocks = -(-dimension // size)
    spare = blocks * size - dimension
    matrix = jnp.pad(matrix, ((0, 0), (0, spare), (0, spare)))
    right = jnp.pad(right, ((0, 0), (0, spare)))
    least = jnp.diagonal(matrix, axis1=1, axis2=2) * jnp.finfo(matrix.dtype).eps

    def eliminate(index, state):
        matrix, right = state
        first = index * size
        rows = jax.lax.dynamic_slice_in_dim(matrix, first, size, 1)
        columns = jax.lax.dynamic_slice_in_dim(matrix, first, size, 2)
        pivot = _inverse(
            jax.lax.dynamic_slice_in_dim(rows, first, size, 2), jax.lax.dynamic_slice_in_dim(least, first, size, 1)
        )
        rows = pivot @ rows
        own = jnp.einsum("bnm,bm->bn", pivot, jax.lax.dynamic_slice_in_dim(right, first, size, 1))
        matrix = jax.lax.dynamic_update_slice_in_dim(matrix - columns @ rows, rows, first, 1)
        right = right - jnp.einsum("bdn,bn->bd", columns, own)
        return matrix, jax.lax.dynamic_update_slice_in_dim(right, own, first, 1)

    return jax.lax.fori_loop(0, blocks, eliminate, (matrix, right))[1][:, :dimension]


def _inverse(matrix: Float[Array, "B D D"], least: Float[Array, "B D"]) -> Float[Array, "B D D"]:
    """The inverse of small symmetric matrices by the sweep operator; a pivot not above `least` is left out."""
    positions = jnp.arange(matrix.shape[1])

    def sweep(index, matrix):
        column = jax.lax.dynamic_index_in_dim(matrix, index, 2, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(column, index, 1, keepdims=False)
        exists = pivot > jax.lax.dynamic_index_in_dim(least, index, 1, keepdims=False)
        inverse = jnp.where(exists, 1.0 / jnp.where(exists, pivot, 1.0), 0.0)[:, None]
        here = positions == index
        scaled = jnp.where(here, -inverse, column * inverse)
        kept = jnp.where(here[:, None] | here, 0.0, matrix - column[:, :, None] * scaled[:, None, :])
        return kept + jnp.where(here[:, None], scaled[:, None, :], jnp.where(here, scaled[:, :, None], 0.0))

    return -jax.lax.fori_loop(0, matrix.shape[1], sweep, matrix)
