"""Every solver goes through every property, and so does the elimination under them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import configs, linalg, solvers
from recjax.errors import InputError

EPS = np.finfo(np.float32).eps
BATCH, LENGTH, CHUNK, DIMENSION, ITEMS = 3, 12, 4, 6, 20
# Settings, how often the solution is the next start, and how many more dimensions there are.
FAMILY = {
    "cholesky": (configs.Wals(solver="cholesky"), 1, 0),
    "cholesky, few cells": (configs.Wals(solver="cholesky"), 1, LENGTH),
    "cg": (configs.Wals(solver="cg", steps=40), 1, 0),
    "block": (configs.Wals(solver="block", block=4), 60, 0),
}

eliminate = jax.jit(linalg.solve)


def definite(batch, dimension, condition, seed=0):
    """Random symmetric matrices with eigenvalues from 1 to 1 / condition, and right sides."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(batch, dimension, dimension)))[0]
    matrix = np.einsum("bij,j,bkj->bik", turn, np.geomspace(1.0, 1.0 / condition, dimension), turn)
    return matrix.astype(np.float32), rng.normal(size=(batch, dimension)).astype(np.float32)


def relative(found, wanted):
    return np.linalg.norm(np.asarray(found, np.float64) - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize(
    ("dimension", "batch"), [(1, 1), (1, 3), (5, 3), (8, 1), (64, 1), (64, 3), (67, 3), (100, 3), (130, 3)]
)
def test_elimination_equals_numpy_in_float64(dimension, batch):
    """To 4 condition numbers of float32's epsilon: rounding the matrix alone may cost one of them."""
    for condition in (1.0, 1e2, 1e4):
        matrix, right = definite(batch, dimension, condition)
        wanted = np.linalg.solve(matrix.astype(np.float64), right.astype(np.float64)[..., None])[..., 0]
        assert relative(eliminate(matrix, right), wanted) < 4 * condition * EPS


@pytest.mark.parametrize("dimension", [5, 64])
@pytest.mark.parametrize("condition", [1e4, 1e6])
def test_the_residual_does_not_grow_with_the_condition(dimension, condition):
    """As of any solver that is stable backwards: to 20 epsilon of |matrix| |solution|, whose first factor is 1."""
    matrix, right = definite(3, dimension, condition)
    right = np.einsum("bij,bj->bi", matrix, right)  # so that the solution is not large
    found = np.asarray(eliminate(matrix, right), np.float64)
    residual = np.einsum("bij,bj->bi", matrix.astype(np.float64), found) - right
    assert (np.linalg.norm(residual, axis=1) < 20 * EPS * np.linalg.norm(found, axis=1)).all()


@pytest.mark.parametrize(("dimension", "rows"), [(64, 20), (256, 50)])
def test_a_small_ridge_is_not_taken_for_rounding(dimension, rows):
    """Fewer rows than dimensions and a ridge of 2e-5 of the diagonal, 170 epsilon: what other rows would score.

    Rounding the matrix to float32 moves that by about epsilon / 2e-5 = .6 %, times what the sum of its terms adds.
    """
    rng = np.random.default_rng(0)
    given = rng.standard_normal((4, rows, dimension))
    matrix = np.einsum("bnd,bne->bde", given, given)
    matrix += 2e-5 * matrix[:, 0, 0].mean() * np.eye(dimension)
    right = np.einsum("bn,bnd->bd", rng.standard_normal((4, rows)), given)
    wanted = np.linalg.solve(matrix, right[..., None])[..., 0]
    others = rng.standard_normal((dimension, 100))
    assert relative(eliminate(matrix.astype(np.float32), right.astype(np.float32)) @ others, wanted @ others) < 0.05


def low_rank(dimension, rank, seed=0):
    """A consistent system of that rank, and its right side."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4, dimension, rank)) / np.sqrt(dimension)
    matrix = rows @ rows.swapaxes(1, 2)
    return matrix, np.einsum("bij,bj->bi", matrix, rng.normal(size=(4, dimension)))


@pytest.mark.parametrize("dimension", [5, 8, 64])
@pytest.mark.parametrize("rank", [1, 3])
def test_a_consistent_singular_system_is_solved(dimension, rank):
    """Many solutions are right: what counts is the residual, and that no vanished pivot blows the solution up."""
    matrix, right = low_rank(dimension, rank)
    found = np.asarray(eliminate(matrix.astype(np.float32), right.astype(np.float32)), np.float64)
    assert np.isfinite(found).all()
    assert relative(np.einsum("bij,bj->bi", matrix, found), right) < 1e-4


def test_a_zero_row_and_column_gets_0_and_the_rest_is_solved():
    matrix, right = definite(2, 9, 10.0)
    keep = np.arange(9) != 3
    matrix[:, ~keep], matrix[:, :, ~keep], right[:, ~keep] = 0, 0, 0
    found = eliminate(matrix, right)
    wanted = np.linalg.solve(
        matrix[:, keep][:, :, keep].astype(np.float64), right[:, keep].astype(np.float64)[..., None]
    )
    np.testing.assert_array_equal(found[:, 3], 0)
    np.testing.assert_allclose(found[:, keep], wanted[..., 0], rtol=1e-4, atol=1e-5)


def test_a_matrix_of_zeros_gives_0():
    np.testing.assert_array_equal(eliminate(jnp.zeros((2, 5, 5)), jnp.ones((2, 5))), jnp.zeros((2, 5)))


@pytest.mark.parametrize("dimension", [3, 8, 13, 70])
def test_elimination_with_signs_equals_numpy_in_float64(dimension):
    """Of L diag(sign) Lᵀ. To 4 condition numbers, here those of the factors: |L|² |L⁻¹|²."""
    rng = np.random.default_rng(0)
    factor = np.tril(rng.normal(size=(3, dimension, dimension)) / dimension, -1) + np.eye(dimension)
    sign = np.where(rng.random((3, dimension)) < 0.3, -1.0, 1.0)
    assert (sign < 0).any()
    matrix, right = np.einsum("bij,bj,bkj->bik", factor, sign, factor), rng.normal(size=(3, dimension))
    found = eliminate(*(part.astype(np.float32) for part in (matrix, right, sign)))
    condition = np.linalg.cond(factor).max() ** 2
    assert relative(found, np.linalg.solve(matrix, right[..., None])[..., 0]) < 4 * condition * EPS


def example(name, dimension=DIMENSION):
    rng, dimension = np.random.default_rng(0), dimension + FAMILY[name][2]
    shared = rng.normal(size=(ITEMS, dimension))
    return {
        "table": rng.normal(size=(ITEMS, dimension)),
        "ids": rng.integers(0, ITEMS, (BATCH, LENGTH)),
        "weight": rng.uniform(0.5, 2.0, (BATCH, LENGTH)),
        "target": rng.normal(size=(BATCH, LENGTH)),
        "shared": 0.1 * shared.T @ shared,
        "ridge": rng.uniform(0.5, 1.0, BATCH),
        "start": rng.normal(size=(BATCH, dimension)),
    }


@functools.cache
def program(settings, chunk):
    solver = solvers.resolve(settings)

    def run(sweeps, table, ids, weight, target, shared, ridge, start):
        values, basis = jnp.linalg.eigh(shared)
        own = jnp.maximum(values, 0.0) + ridge[:, None]
        system = solvers.System(*solvers.cells(table @ basis, ids, chunk), weight, target, own)
        begin = start @ basis, jnp.zeros(ids.shape)
        found, scored = jax.lax.fori_loop(0, sweeps, lambda _, now: solver(system, now[0]), begin)
        return found @ basis.T, scored

    return jax.jit(run)


def call(name, given, *, chunk=100, sweeps=None, **changes):
    settings, enough, _ = FAMILY[name]
    given = {key: jnp.asarray(part, jnp.int32 if key == "ids" else jnp.float32) for key, part in given.items()}
    return program(dataclasses.replace(settings, **changes), chunk)(sweeps or enough, **given)


def normal(given):
    """The normal equations as they are written, in float64: matrix [B D D], right side [B D]."""
    rows = given["table"][given["ids"]]
    ridge = given["ridge"][:, None, None] * np.eye(rows.shape[2])
    matrix = given["shared"] + ridge + np.einsum("bl,bld,ble->bde", given["weight"], rows, rows)
    return matrix, np.einsum("bl,bld->bd", given["target"], rows)


def solution(given):
    matrix, right = normal(given)
    return np.linalg.solve(matrix, right[..., None])[..., 0]


def scores(given, rows):
    return np.einsum("bld,bd->bl", given["table"][given["ids"]], rows)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("dimension", [DIMENSION, 8])
def test_the_solution_is_that_of_the_normal_equations(name, dimension):
    """To 1e-5 of the norm: the matrices' condition is below 120."""
    given = example(name, dimension)
    assert np.linalg.cond(normal(given)[0]).max() < 120
    found, _ = call(name, given)
    assert relative(found, solution(given)) < 1e-5


@pytest.mark.parametrize("name", FAMILY)
def test_weights_may_be_of_either_sign_or_0(name):
    """As where unobserved pairs alone are weighed: what is left is w - α0. A cell of weight 0 still has its target."""
    given = example(name)
    given["weight"][:, ::3], given["weight"][:, 1] = -0.05, 0
    eigenvalues = np.linalg.eigvalsh(normal(given)[0])
    assert eigenvalues.min() > 0
    assert (eigenvalues[:, -1] / eigenvalues[:, 0]).max() < 500
    found, scored = call(name, given)
    assert relative(found, solution(given)) < 5e-5
    assert relative(scored, scores(given, solution(given))) < 5e-5


@pytest.mark.parametrize("spare", [0, 4])
def test_few_cells_where_nothing_is_shared_or_regularized_get_the_shortest_solution(spare):
    """Of all that fit the cells; padding does not ask for anything. The rows' condition is below 20."""
    given = example("cholesky, few cells")
    given["shared"], given["ridge"] = 0 * given["shared"], np.zeros(BATCH)
    given["ids"] = np.stack([np.random.default_rng(row).permutation(ITEMS)[:LENGTH] for row in range(BATCH)])
    rows = given["table"][given["ids"]]
    assert np.linalg.cond(rows).max() < 20
    wanted = np.linalg.pinv(rows) @ (given["target"] / given["weight"])[..., None]
    for key, fill in (("ids", 7), ("weight", 0.0), ("target", 0.0)):
        given[key] = np.concatenate([given[key], np.full((BATCH, spare), fill)], 1)
    assert relative(call("cholesky, few cells", given)[0], wanted[..., 0]) < 1e-4


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("chunk", [CHUNK, 100])
@pytest.mark.parametrize("sweeps", [1, None])
def test_the_scores_are_those_of_the_solution(name, chunk, sweeps):
    """To 1e-5 of their norm; for the block solver also after a sweep, where it is not yet at the end."""
    given = example(name)
    found, scored = call(name, given, chunk=chunk, sweeps=sweeps)
    assert relative(scored, scores(given, np.asarray(found, np.float64))) < 1e-5


@pytest.mark.parametrize("name", FAMILY)
def test_reading_a_list_in_chunks_changes_nothing(name):
    """But the order of sums: 1e-5."""
    given = example(name)
    for found, wanted in zip(call(name, given, chunk=CHUNK), call(name, given), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_padding_changes_nothing(name):
    """Cells of weight 0 and target 0, whichever row they name."""
    given = example(name)
    wide = dict(given)
    for key, fill in (("ids", 7), ("weight", 0.0), ("target", 0.0)):
        wide[key] = np.concatenate([given[key], np.full((BATCH, 4), fill)], 1)
    found, scored = call(name, wide)
    wanted, expected = call(name, given)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scored[:, :LENGTH], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_permuting_a_list_permutes_the_scores_alone(name):
    given, order = example(name), np.random.default_rng(1).permutation(LENGTH)
    found, scored = call(name, given | {key: given[key][:, order] for key in ("ids", "weight", "target")})
    wanted, expected = call(name, given)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scored, expected[:, order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_the_solution_is_a_fixed_point(name):
    given = example(name)
    given["start"] = solution(given)
    found, _ = call(name, given, sweeps=1)
    assert relative(found, given["start"]) < 1e-5


@pytest.mark.parametrize("name", FAMILY)
def test_a_right_side_of_0_from_0_gives_0(name):
    given = example(name)
    given["target"], given["start"] = np.zeros((BATCH, LENGTH)), np.zeros_like(given["start"])
    for part in call(name, given):
        np.testing.assert_array_equal(part, 0)


@pytest.mark.parametrize("name", FAMILY)
def test_a_system_of_zeros_keeps_its_start_finite(name):
    given = {key: np.zeros_like(part) for key, part in example(name).items()} | {"start": example(name)["start"]}
    for part in call(name, given):
        assert np.isfinite(part).all()


@pytest.mark.parametrize("block", [DIMENSION, 100])
def test_one_block_of_all_columns_is_cholesky(block):
    given = example("block")
    found, scored = call("block", given, sweeps=1, block=block)
    wanted, expected = call("cholesky", given)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scored, expected, rtol=1e-5, atol=1e-5)


def value(given, rows):
    """What the solution minimises, xᵀ A x - 2 bᵀ x, and a scale for its rounding."""
    matrix, right = normal(given)
    rows = np.asarray(rows, np.float64)
    parts = np.einsum("bd,bde,be->b", rows, matrix, rows), 2 * np.einsum("bd,bd->b", right, rows)
    return parts[0] - parts[1], np.abs(parts[0]) + np.abs(parts[1])


@pytest.mark.parametrize(
    ("name", "setting", "numbers"), [("cg", "steps", (1, 2, 3, 5, DIMENSION, 30)), ("block", "sweeps", range(1, 9))]
)
def test_the_objective_never_rises(name, setting, numbers):
    """Up to 1e-6 of its parts; by then it does not fall any more either."""
    given = example(name)
    now, _ = value(given, given["start"])
    for number in numbers:
        after, scale = value(given, call(name, given, **{setting: number})[0])
        assert (after <= now + 1e-6 * scale).all()
        now = after


def test_cg_ends_after_as_many_steps_as_there_are_dimensions():
    """In exact arithmetic; in float32 to 1e-3 at a condition below 100."""
    given = example("cg")
    assert relative(call("cg", given, steps=DIMENSION)[0], solution(given)) < 1e-3


@pytest.mark.parametrize("cells", [0, 1, 3])
def test_cg_ends_one_step_after_as_many_as_a_list_has_cells(cells):
    """What is shared is the preconditioner: a step is exact without cells. To 1e-4 at a condition of 300 and more."""
    given = example("cg", 30)
    for key in ("ids", "weight", "target"):
        given[key] = given[key][:, : cells or 1]
    given["shared"] = np.diag(np.geomspace(1e3, 1.0, 30))
    if not cells:
        given["weight"] *= 0
    assert np.linalg.cond(normal(given)[0]).min() > 300
    assert relative(call("cg", given, steps=cells + 1)[0], solution(given)) < 1e-4


def test_an_unknown_solver_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown solver 'cholesk'; did you mean 'cholesky'"):
        solvers.resolve(configs.Wals(solver="cholesk"))


@pytest.mark.parametrize("ids", [(7,), (3, 5), (2, 3, 2), (0,)])
@pytest.mark.parametrize("kind", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    ("rows", "dimension"), [(20, 16), (linalg.CACHED // 128 + 1, 64), (linalg.CACHED // 10 + 1, 5)]
)
def test_rows_are_taken_as_they_are_whatever_the_cache_holds(rows, dimension, ids, kind):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(rows, dimension)).astype(kind)
    index = rng.integers(0, rows, ids)
    np.testing.assert_array_equal(jax.jit(linalg.take)(table, index), table[index])
