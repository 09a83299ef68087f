"""Half an iteration of WALS: every row of one side is solved for while the other side is fixed, batch after batch."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recjax import least_squares, linalg, ragged, solvers
from recjax.least_squares import Coefficients, Objective
from recjax.ragged import Ragged


def solve(
    before: Float[Array, "X D"],
    fixed: Float[Array, "Y D"],
    gramian: Float[Array, "D D"],
    side: Any,
    others: Any,
    histories: Ragged,
    solver: solvers.Solver,
    numbers: Coefficients,
) -> tuple[Float[Array, "X D"], Float[Array, "D D"], Objective]:
    """Solves the rows of one side, whose lists name rows of `fixed`; `gramian` is that of the other side.

    Gives the table, the Gramian of the solved rows, and the objective with their regularization alone.
    """
    shared = numbers.unobserved_weight * gramian
    # Solvers work in the basis of the Gramian's eigenvectors; what is stored stays in its own.
    values, basis = linalg.eigen(shared)
    fixed = fixed.astype(jnp.float32) @ basis
    ridge = least_squares.ridge(histories.count, others, numbers)
    # Read from one table, write to another: XLA would copy one that is read and written in every batch.
    table, solved = linalg.bits(before), jnp.zeros_like(gramian)
    sums, placed = [], 0
    for bucket in histories.buckets:
        batches, size, _ = bucket.ids.shape

        def one(index, state, bucket=bucket, placed=placed, size=size):
            table, solved, sums = state
            first = placed + index * size
            start, count, own = (
                jax.lax.dynamic_slice_in_dim(part, first, size, allow_negative_indices=False)
                for part in (linalg.bits(before), histories.count, ridge)
            )
            start = linalg.from_bits(start, before.dtype)
            ids, value, weight = (
                jax.lax.dynamic_index_in_dim(part, index, keepdims=False, allow_negative_indices=False)
                for part in (bucket.ids, bucket.value, bucket.weight)
            )
            found, observed, square = _batch(ids, value, weight, fixed, start, values, own, basis, solver, numbers)
            found = jnp.where(count[:, None] > 0, found, 0)  # a slot of padding
            now = jnp.stack([observed, square, least_squares.penalty(found, own)])
            rows = linalg.bits(found)
            table = jax.lax.dynamic_update_slice_in_dim(table, rows, first, 0, allow_negative_indices=False)
            sums = jax.lax.dynamic_update_index_in_dim(sums, now, index, 0, allow_negative_indices=False)
            return table, solved + least_squares.gramian(found), sums

        begin = jnp.where(side > 0, bucket.until[side - 1], 0)
        state = table, solved, jnp.zeros((batches, 3))
        table, solved, found = jax.lax.fori_loop(begin, bucket.until[side], one, state)
        sums.append(jnp.sum(found, axis=0))
        placed += batches * size
    observed, square, regularization = jnp.sum(jnp.stack(sums), axis=0)
    unobserved = jnp.sum(shared * solved) - (0.0 if numbers.all_pairs else numbers.unobserved_weight * square)
    return linalg.from_bits(table, before.dtype), solved, Objective(observed, unobserved, regularization)


def _batch(
    ids, value, weight, fixed, start, values, ridge, basis, solver: solvers.Solver, numbers: Coefficients
) -> tuple[Float[Array, "B D"], Array, Array]:
    """The rows of one batch, and over its cells the sums of w (a - ŷ)² and, where it is needed, of ŷ²."""
    exists = weight > 0
    system = solvers.System(
        *solvers.cells(fixed, ids, ragged.CHUNK),
        weight=weight if numbers.all_pairs else jnp.where(exists, weight - numbers.unobserved_weight, 0.0),
        target=weight * value,
        own=jnp.maximum(values, 0.0) + ridge[:, None],
    )
    found, scores = solver(system, start.astype(jnp.float32) @ basis)
    stored = (found @ basis.T).astype(start.dtype)
    if stored.dtype != found.dtype:
        scores = system.scores(stored.astype(jnp.float32) @ basis, solvers.EVERY)
    square = jnp.zeros(()) if numbers.all_pairs else jnp.sum(jnp.where(exists, scores, 0.0) ** 2)
    return stored, jnp.sum(weight * (value - scores) ** 2), square
