"""Small linear algebra on embedding matrices."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LINE = 64  # bytes of a cache line
CACHED = 2**22  # bytes of a table that stays in a core's caches


def take(table: Float[Array, "N D"], ids: Int[Array, "*B"]) -> Float[Array, "*B D"]:
    """table[ids], for ids in [0, N).

    >>> take(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1, 0, 1])).tolist()
    [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    """
    numbers, line = bits(table), LINE // table.dtype.itemsize
    if jax.default_backend() == "cpu" and table.nbytes > CACHED and table.shape[1] % line == 0:
        # XLA's loop has few rows on their way at once, as its instructions for one fill the processor. This reads one
        # number a cache line before: the rows come together, and the loop finds them in the cache.
        lines = from_bits(_take(numbers.reshape(len(table), -1, line)[..., 0], ids), table.dtype)
        # So that the loop waits; of NaN any row will do.
        late = jnp.isnan(jnp.sum(lines.astype(jnp.float32), tuple(range(1, lines.ndim))))
        ids = ids + late.reshape(-1, *(1,) * (ids.ndim - 1))
    return from_bits(_take(numbers, ids), table.dtype)


def _take(table: Array, ids: Int[Array, "*B"]) -> Array:
    return table.at[ids].get(mode="promise_in_bounds", wrap_negative_indices=False)


def put(table: Float[Array, "N D"], ids: Int[Array, " R"], rows: Float[Array, "R D"], *, rising: bool = False) -> Array:
    """The table with other rows at those ids, which differ from each other; one of N or more is dropped.

    Args:
        rising: the ids are in rising order.

    >>> put(jnp.zeros((2, 1)), jnp.array([1, 7]), jnp.array([[3.0], [4.0]])).tolist()
    [[0.0], [3.0]]
    """
    found = (
        bits(table)
        .at[ids]
        .set(bits(rows), mode="drop", indices_are_sorted=rising, unique_indices=True, wrap_negative_indices=False)
    )
    return from_bits(found, table.dtype)


def bits(table: Array) -> Array:
    """The numbers of bfloat16 as integers, others as they are: for what only moves rows of a table.

    XLA's CPU compiler writes a row of bfloat16 by way of float32, and converts the whole table to do so. Of integers it
    writes the row alone, where they are what a loop keeps: there the way back and forth falls away.
    """
    return jax.lax.bitcast_convert_type(table, jnp.uint16) if table.dtype == jnp.bfloat16 else table


def from_bits(found: Array, dtype: Any) -> Array:
    """What `bits` was given, of that dtype.

    >>> table = jnp.array([1.5, -2.0], jnp.bfloat16)
    >>> from_bits(bits(table), table.dtype).tolist()
    [1.5, -2.0]
    """
    return jax.lax.bitcast_convert_type(found, jnp.bfloat16) if dtype == jnp.bfloat16 else found


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
    """Solves B symmetric positive definite systems, by Cholesky's elimination of blocks of `size` rows.

    2 D³ flops a system, nearly all of them in matrix products, and no LAPACK (see `recjax.solvers`). Where the matrix
    is singular in its precision, a direction whose pivot vanishes gets 0.

    >>> solve(jnp.array([[[4.0, 2.0], [2.0, 5.0]]]), jnp.array([[8.0, 12.0]])).tolist()
    [[1.0, 2.0]]
    """
    dimension = right.shape[1]
    blocks = -(-dimension // size)
    spare = blocks * size - dimension
    matrix = jnp.pad(matrix, ((0, 0), (0, spare), (0, spare)))
    right = jnp.pad(right, ((0, 0), (0, spare)))
    # What is left of a pivot that vanishes is rounding: some eps of the diagonal, with D growing at most as its root.
    # A bound as large as that of all D roundings would take ridges of 1e-5 of the diagonal for nothing.
    least = 16 * jnp.diagonal(matrix, axis1=1, axis2=2) * jnp.finfo(matrix.dtype).eps

    def cut(array, index, axis=1):
        return jax.lax.dynamic_slice_in_dim(array, index * size, size, axis)

    def eliminate(state, index):
        matrix, right = state
        rows = cut(matrix, index)
        inverse = _inverse_factor(cut(rows, index, 2), cut(least, index))
        rows, own = inverse @ rows, jnp.einsum("bnm,bm->bn", inverse, cut(right, index))
        rows = jnp.where(jnp.arange(blocks * size) >= (index + 1) * size, rows, 0.0)
        matrix = matrix - jnp.einsum("bsi,bsj->bij", rows, rows)
        right = right - jnp.einsum("bsi,bs->bi", rows, own)
        # The factor's rows beyond the block take the place of the matrix's.
        matrix = jax.lax.dynamic_update_slice_in_dim(matrix, rows, index * size, 1)
        return (matrix, jax.lax.dynamic_update_slice_in_dim(right, own, index * size, 1)), inverse

    (factor, right), inverses = jax.lax.scan(eliminate, (matrix, right), jnp.arange(blocks))

    def substitute(back, x):
        index = blocks - 1 - back
        rest = cut(x, index) - jnp.einsum("bsi,bi->bs", cut(factor, index), x)
        own = jnp.einsum("bnm,bn->bm", inverses[index], rest)
        return jax.lax.dynamic_update_slice_in_dim(x, own, index * size, 1)

    return jax.lax.fori_loop(0, blocks, substitute, right)[:, :dimension]


def _inverse_factor(matrix: Float[Array, "B D D"], least: Float[Array, "B D"]) -> Float[Array, "B D D"]:
    """The inverse of Cholesky's lower factor; a pivot not above `least` is left out."""
    size = matrix.shape[1]
    rows = jnp.concatenate([matrix, jnp.broadcast_to(jnp.eye(size, dtype=matrix.dtype), matrix.shape)], 2)
    found = []
    for index in range(size):
        row, square = rows[:, 0], rows[:, 0, index]
        exists = square > least[:, index]
        row *= jnp.where(exists, jax.lax.rsqrt(jnp.where(exists, square, 1.0)), 0.0)[:, None]
        found.append(row[:, size:])
        rows = rows[:, 1:] - row[:, index + 1 : size, None] * row[:, None, :]
    return jnp.stack(found, axis=1)
