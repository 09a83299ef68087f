"""Solvers of the normal equations of many rows at once. One signature: (settings) -> Solver.

A solver is (system, start [B D]) -> (solution [B D], scores [B L]), with the scores of the solution in the cells. All
work in a basis in which what the systems share is diagonal. They are free of LAPACK: jaxlib's batched LAPACK calls
wait for the thread pool that they run on, and two of them in one CPU program may wait for ever (jaxlib 0.10.2).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from recjax import configs, fields, linalg


class System(NamedTuple):
    """B systems (diag(own) + rowsᵀ diag(weight) rows) x = rowsᵀ target over cells [B L].

    The cells' rows [B L D] are behind three functions, for a range of columns each, so that a long list can be read a
    chunk at a time.
    """

    scores: Callable[[Array, slice], Array]  # (x [B d], columns) -> <row, x> [B L]
    combine: Callable[[Array, slice], Array]  # (coefficient [B L], columns) -> sum of coefficient · row [B d]
    gramian: Callable[[Array, slice], Array]  # (weight [B L], columns) -> sum of weight · row rowᵀ [B d d]
    products: Callable[[Array], Array]  # (weight [B D]) -> rows diag(weight) rowsᵀ [B L L]
    weight: Float[Array, "B L"]
    target: Float[Array, "B L"]
    own: Float[Array, "B D"]  # of what all systems share, in its eigenvectors, and of the ridge; not below 0


Solver = Callable[[System, Float[Array, "B D"]], tuple[Float[Array, "B D"], Float[Array, "B L"]]]

EVERY = slice(None)
TINY = 1e-20  # in place of a weight of 0
SMALL = 1e-4  # cg: what a preconditioner takes the smaller parts of `own` for, the largest being 1


def resolve(settings: configs.Wals) -> Solver:
    """The solver that the settings name.

    Raises:
        InputError: there is none of that name.
    """
    family = {one.__name__: one for one in (cholesky, cg, block)}
    return fields.resolve("solver", settings.solver, family)(settings)


def cells(
    table: Float[Array, "N D"], ids: Int[Array, "B L"], chunk: int
) -> tuple[Callable, Callable, Callable, Callable]:
    """The functions of a system: rows table[ids], at most `chunk` cells of a list at a time."""
    batch, length = ids.shape

    if length <= chunk:
        # Without the barrier XLA would gather anew inside each product.
        every = jax.lax.optimization_barrier(linalg.take(table, ids).astype(jnp.float32))
        return (
            lambda x, columns: jnp.einsum("bld,bd->bl", every[..., columns], x),
            lambda coefficient, columns: jnp.einsum("bl,bld->bd", coefficient, every[..., columns]),
            lambda weight, columns: _gramian(every[..., columns], weight),
            lambda weight: jnp.einsum("bld,bmd->blm", every * weight[:, None], every),
        )

    def rows(ids, columns):
        return linalg.take(table, ids).astype(jnp.float32)[..., columns]

    def split(part):
        return part.reshape(batch, -1, chunk).swapaxes(0, 1)

    def total(one: Callable, shape: tuple[int, ...], *parts: Array) -> Array:
        return jax.lax.scan(lambda sum, part: (sum + one(*part), None), jnp.zeros(shape), tuple(map(split, parts)))[0]

    def scores(x, columns):
        found = jax.lax.map(lambda ids: jnp.einsum("bld,bd->bl", rows(ids, columns), x), split(ids))
        return found.swapaxes(0, 1).reshape(batch, length)

    def width(columns):
        return len(range(*columns.indices(table.shape[1])))

    def combine(coefficient, columns):
        def one(ids, coefficient):
            return jnp.einsum("bl,bld->bd", coefficient, rows(ids, columns))

        return total(one, (batch, width(columns)), ids, coefficient)

    def gramian(weight, columns):
        def one(ids, weight):
            return _gramian(rows(ids, columns), weight)

        return total(one, (batch, width(columns), width(columns)), ids, weight)

    def products(weight):
        every = rows(ids, EVERY)
        return jnp.einsum("bld,bmd->blm", every * weight[:, None], every)

    return scores, combine, gramian, products


def _gramian(rows: Float[Array, "B L D"], weight: Float[Array, "B L"]) -> Float[Array, "B D D"]:
    return jnp.einsum("bld,ble->bde", rows * weight[..., None], rows)


def cholesky(settings: configs.Wals) -> Solver:
    """The exact solution, by elimination: of a system of D equations, or of L where a list has fewer cells than that.

    The latter by (S + YᵀVY)⁻¹ Yᵀ = S⁻¹ Yᵀ (1 + V Y S⁻¹ Yᵀ)⁻¹, with the cells' rows Y, their weights V and the diagonal
    S of shared + ridge. Source: Henderson and Searle 1981 (the inverse of a sum of matrices).
    """

    def solve(system: System, start):
        if system.weight.shape[1] < start.shape[1]:
            return few(system)
        matrix = system.gramian(system.weight, EVERY) + _diagonal(system.own)
        found = linalg.solve(matrix, system.combine(system.target, EVERY))
        return found, system.scores(found, EVERY)

    def few(system: System):
        # S = top · share. Where nothing is shared or regularized top is 0, and the solution the shortest of many.
        top, share = _scaled(system.own, float(jnp.finfo(system.own.dtype).eps))
        products = system.products(1.0 / share)
        # With V = sign root² the matrix is symmetric. Its pivots have the signs of V, as S + the first cells' part of
        # YᵀVY is positive definite, however many they are.
        sign, root = jnp.where(system.weight < 0, -1.0, 1.0), jnp.sqrt(jnp.maximum(jnp.abs(system.weight), TINY))
        diagonal = jnp.where(system.weight == 0, jnp.where(top > 0, top, 1.0), top * sign)
        matrix = root[:, :, None] * products * root[:, None] + _diagonal(diagonal)
        coefficient = root * linalg.solve(matrix, sign * system.target / root, sign)
        return system.combine(coefficient, EVERY) / share, jnp.einsum("blm,bm->bl", products, coefficient)

    return solve


def cg(settings: configs.Wals) -> Solver:
    """`steps` steps of conjugate gradients from the present rows, preconditioned by `own`.

    Source: Takács et al. 2011 (ALS with conjugate gradients); the preconditioner is ours.
    """

    def solve(system: System, start):
        _, share = _scaled(system.own, SMALL)

        def move(x, scores, residual, direction, square):
            ahead = system.scores(direction, EVERY)
            curvature = jnp.sum(system.weight * ahead**2, 1) + jnp.sum(system.own * direction**2, 1)
            size = _ratio(square, curvature)
            return x + size[:, None] * direction, scores + size[:, None] * ahead, ahead, size

        def step(_, state):
            x, scores, residual, direction, square = state
            x, scores, ahead, size = move(*state)
            along = system.combine(system.weight * ahead, EVERY) + system.own * direction
            residual = residual - size[:, None] * along
            ahead, now = scaled(residual)
            return x, scores, residual, ahead + _ratio(now, square)[:, None] * direction, now

        def scaled(residual):
            return residual / share, jnp.sum(residual**2 / share, 1)

        scores = system.scores(start, EVERY)
        residual = system.combine(system.target - system.weight * scores, EVERY) - system.own * start
        state = (start, scores, residual, *scaled(residual))
        # The last step needs no new residual.
        return move(*jax.lax.fori_loop(0, settings.steps - 1, step, state))[:2]

    return solve


def block(settings: configs.Wals) -> Solver:
    """Newton's step on one block of columns after another. Source: Rendle et al. 2021 (iALS++), algorithm 3."""

    def solve(system: System, start):
        dimension = start.shape[1]
        x, scores = start, system.scores(start, EVERY)
        for first in range(0, dimension, settings.block):
            columns = slice(first, min(first + settings.block, dimension))
            own = system.own[:, columns]
            matrix = system.gramian(system.weight, columns) + _diagonal(own)
            residual = system.combine(system.target - system.weight * scores, columns) - own * x[:, columns]
            change = linalg.solve(matrix, residual)
            x = x.at[:, columns].add(change)
            scores = scores + system.scores(change, columns)
        return x, scores

    return solve


def _scaled(own: Float[Array, "B D"], least: float) -> tuple[Float[Array, "B 1"], Float[Array, "B D"]]:
    """The largest of each row, and all of them over it, not below `least`; where all are 0, 1."""
    top = jnp.max(own, axis=1, keepdims=True)
    return top, jnp.where(top > 0, jnp.maximum(own / jnp.where(top > 0, top, 1.0), least), 1.0)


def _diagonal(numbers: Float[Array, "B D"]) -> Float[Array, "B D D"]:
    return numbers[:, :, None] * jnp.eye(numbers.shape[1])


def _ratio(above: Array, below: Array) -> Array:
    """The quotient, and 0 where nothing is left to do."""
    return jnp.where(below > 0, above / jnp.where(below > 0, below, 1.0), 0.0)
