"""Small linear algebra on embedding matrices."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LINE = 64  # bytes of a cache line
CACHED = 2**22  # bytes of a table that stays in a core's caches
UNROLLED = 4  # rows of the innermost blocks of an elimination


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


@jax.custom_batching.sequential_vmap
def eigen(matrix: Float[Array, "D D"]) -> tuple[Float[Array, " D"], Float[Array, "D D"]]:
    """Eigenvalues, and eigenvectors as columns, of a symmetric matrix.

    By LAPACK, and one after another under `vmap` too: a batched call may wait for ever (see `recjax.solvers`), that of
    one matrix waits for nothing.

    >>> eigen(jnp.array([[2.0, 0.0], [0.0, 1.0]]))[0].tolist()
    [1.0, 2.0]
    """
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


def solve(
    matrix: Float[Array, "B D D"], right: Float[Array, "B D"], sign: Float[Array, "B D"] | None = None
) -> Float[Array, "B D"]:
    """Solves B symmetric systems by Cholesky's elimination of blocks of rows.

    2 D³ flops a system, nearly all of them in matrix products, and no LAPACK (see `recjax.solvers`). Where the matrix
    is singular in its precision, a direction whose pivot vanishes gets 0.

    Args:
        matrix: positive definite; with `sign` one that is L diag(sign) Lᵀ.
        sign: 1 or -1, of each row's pivot.

    >>> solve(jnp.array([[[4.0, 2.0], [2.0, 5.0]]]), jnp.array([[8.0, 12.0]])).tolist()
    [[1.0, 2.0]]
    """
    dimension = right.shape[1]
    size = max(8, dimension // 32 * 4)  # of a block: of what was tried on a CPU about the fastest for each D
    blocks = -(-dimension // size)
    spare = blocks * size - dimension
    matrix = jnp.pad(matrix, ((0, 0), (0, spare), (0, spare)))
    sign = jnp.ones_like(right) if sign is None else sign
    right, sign = (jnp.pad(one, ((0, 0), (0, spare))) for one in (right, sign))
    # What is left of a pivot that vanishes is rounding: some eps of the diagonal, with D growing at most as its root.
    # A bound as large as that of all D roundings would take ridges of 1e-5 of the diagonal for nothing.
    least = 16 * jnp.abs(jnp.diagonal(matrix, axis1=1, axis2=2)) * jnp.finfo(matrix.dtype).eps

    def eliminate(state, index):
        matrix, right = state
        matrix, found = _eliminate(matrix, index, least, sign, size)
        own = jnp.einsum("bnm,bm->bn", found.inverse, _cut(right, index, size))
        right = right - jnp.einsum("bis,bs->bi", found.columns, own)
        return (matrix, right), (index, found.inverse, found.rows, own)

    def substitute(x, part):
        index, inverse, rows, own = part
        rest = _cut(sign, index, size) * (own - jnp.einsum("bsi,bi->bs", rows, x))
        own = jnp.einsum("bnm,bn->bm", inverse, rest)
        return jax.lax.dynamic_update_slice_in_dim(x, own, index * size, 1), None

    _, parts = jax.lax.scan(eliminate, (matrix, right), jnp.arange(blocks))
    return jax.lax.scan(substitute, jnp.zeros_like(right), parts, reverse=True)[0][:, :dimension]


class _Block(NamedTuple):
    """Rows of an elimination L diag(sign) Lᵀ, `size` of them."""

    inverse: Float[Array, "B S S"]  # of L's block on the diagonal
    rows: Float[Array, "B S W"]  # the inverse times the matrix's rows
    columns: Float[Array, "B N S"]  # those, transposed, times the sign, below the block


def _eliminate(
    matrix: Float[Array, "B N W"], index: Any, least: Float[Array, "B N"], sign: Float[Array, "B N"], size: int
) -> tuple[Float[Array, "B N W"], _Block]:
    """Takes the block's rows out of those below it. Rows may be longer than there are rows."""
    rows, own = _cut(matrix, index, size), _cut(sign, index, size)
    inverse = _inverse_factor(_cut(rows, index, size, 2), _cut(least, index, size), own)
    rows = inverse @ rows
    below = jnp.arange(matrix.shape[1]) >= (index + 1) * size
    columns = jnp.where(below, own[..., None] * rows[:, :, : len(below)], 0.0)
    # Laid out anew, as XLA's CPU compiler takes three times as long for a product with a transposed matrix.
    columns = jax.lax.optimization_barrier(jnp.swapaxes(columns, 1, 2))
    return matrix - columns @ rows, _Block(inverse, rows, columns)


def _inverse_factor(
    matrix: Float[Array, "B S S"], least: Float[Array, "B S"], sign: Float[Array, "B S"]
) -> Float[Array, "B S S"]:
    """L⁻¹ where the matrix is L diag(sign) Lᵀ; a pivot not above `least` is left out."""
    size = matrix.shape[1]
    rows = jnp.concatenate([matrix, jnp.broadcast_to(jnp.eye(size, dtype=matrix.dtype), matrix.shape)], 2)
    if size > UNROLLED:

        def eliminate(rows, index):
            rows, found = _eliminate(rows, index, least, sign, UNROLLED)
            return rows, found.rows[:, :, size:]

        found = jax.lax.scan(eliminate, rows, jnp.arange(size // UNROLLED))[1]
        return jnp.swapaxes(found, 0, 1).reshape(matrix.shape)
    done = []
    for index in range(size):
        rows = jax.lax.optimization_barrier(rows)  # XLA would compute it wherever it is read
        row, square = rows[:, 0], sign[:, index] * rows[:, 0, index]
        exists = square > least[:, index]
        row *= jnp.where(exists, jax.lax.rsqrt(jnp.where(exists, square, 1.0)), 0.0)[:, None]
        row = jax.lax.optimization_barrier(row)
        done.append(row[:, size:])
        rows = rows[:, 1:] - (sign[:, index, None] * row[:, index + 1 : size])[..., None] * row[:, None, :]
    return jnp.stack(done, axis=1)


def _cut(array: Array, index: Any, size: int, axis: int = 1) -> Array:
    return jax.lax.dynamic_slice_in_dim(array, index * size, size, axis)
