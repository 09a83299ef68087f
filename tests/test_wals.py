"""Alternation solves what it says it solves: every solver, both forms of the objective."""

import functools
import os
import pathlib
import re
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import configs, least_squares, ragged, solvers, train, wals
from recjax.least_squares import Coefficients
from recjax.types import Dataset, Interactions, Params, State

ROOT = pathlib.Path(__file__).parents[1]
SOLVERS = {
    "cholesky": configs.Wals(solver="cholesky"),
    "cg": configs.Wals(solver="cg", steps=3),
    "block": configs.Wals(solver="block", block=5),
}
DIMENSION = 8
NUMBERS = Coefficients(0.2, 0.05, 0.5)
objective = jax.jit(least_squares.objective, static_argnums=3)


def settings(solver, all_pairs=True, **changes):
    return configs.Wals(**{**vars(SOLVERS[solver]), "all_pairs": all_pairs, **changes})


def knobs(numbers):
    names = ("unobserved_weight", "regularization", "exponent")
    return {f"wals.{name}": jnp.float32(getattr(numbers, name)) for name in names}


def state(tables, dtype=jnp.float32):
    names = ("query", "item")
    held = {name: jnp.asarray(table, dtype) for name, table in zip(names, tables, strict=True)}
    return State(jnp.zeros((), jnp.int32), Params(held, {}, {}), None, None, None)


def tables(state):
    return state.params.tables["query"], state.params.tables["item"]


def normal(world, seed=0, dimension=DIMENSION, scale=0.3):
    rng = np.random.default_rng(seed)
    return [scale * rng.normal(size=(rows, dimension)).astype(np.float32) for rows in sides(world)]


def sides(world):
    return tuple(len(world.vocabularies[name]) for name in ("query", "item"))


def make(query, item, queries, items, weight=None):
    """A data set of these interactions alone."""
    query, item = np.asarray(query), np.asarray(item)
    weight = np.ones(len(query), np.float32) if weight is None else weight
    names = {"query": np.arange(queries), "item": np.arange(items)}
    return Dataset(Interactions(query, item, weight, None), {}, {}, names, None, True)


@pytest.fixture(scope="module", autouse=True)
def several_shapes():
    """Also in small worlds, where another shape would not be worth its compilation."""
    pack = ragged.pack
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "pack", lambda *given, **settings: pack(*given, **settings | {"worth": 0}))
        yield


@pytest.fixture(scope="session")
def world():
    """60 queries, 50 items, lists of at most 8 (few shapes to compile), repeated pairs, rows without any; weights and
    values that are not all 1."""
    rng = np.random.default_rng(0)
    query, item = [0, 0, 0, 5, 5], [3, 3, 3, 4, 4]
    for one, other in zip(np.repeat(np.arange(58), 6), rng.integers(0, 48, 58 * 6), strict=True):
        if max(query.count(one), item.count(other)) < 8 and rng.random() < 0.8:
            query.append(int(one))
            item.append(int(other))
    weight, value = rng.uniform(0.5, 2.0, (2, len(query))).astype(np.float32)
    return make(query, item, 60, 50, weight), value


# Bits and edges are those that users see: conftest has another compiler of fusions, which is faster.
AS_USERS = {"xla_cpu_use_fusion_emitters": True} if "fusion_emitters" in os.environ.get("XLA_FLAGS", "") else {}


@functools.cache
def program(settings):
    return jax.jit(wals.step(settings), compiler_options=AS_USERS)


@functools.cache
def fifty(settings):
    return jax.jit(train.block(wals.step(settings), 50), compiler_options=AS_USERS)


@functools.cache
def folder(settings):
    """fold_in with everything but the settings as an argument."""

    def run(numbers, fixed, histories, start):
        return wals.fold_in(
            fixed, histories, solvers.resolve(settings), Coefficients(*numbers, settings.all_pairs), start
        )

    return jax.jit(run)


def fold_in(settings, fixed, histories, numbers=NUMBERS, start=None):
    start = jnp.zeros((len(histories.slot), fixed.shape[1]), fixed.dtype) if start is None else start
    return folder(settings)(tuple(map(float, numbers[:3])), fixed, histories, start)


def histories(world, value, side, settings):
    """What the rows of a side have met, for fold_in."""
    query, item, weight, _ = world.interactions
    row, other = (query, item) if side == 0 else (item, query)
    return wals.prepare_fold_in(row, other, sides(world)[side], sides(world)[1 - side], settings, value, weight)


def call(world, value, settings, start, numbers=NUMBERS):
    return program(settings)(knobs(numbers), jax.random.key(0), start, wals.prepare(world, settings, value))


def half_sweep(fixed, row, other, value, weight, rows, numbers):
    """The normal equations of every row as they are written, solved in float64; a row without interactions is 0."""
    fixed = np.asarray(fixed, np.float64)
    found, gramian = np.zeros((rows, fixed.shape[1])), fixed.T @ fixed
    for one in np.unique(row):
        near, held, own = fixed[other[row == one]], weight[row == one].astype(np.float64), value[row == one]
        count = len(near) + numbers.unobserved_weight * len(fixed)
        matrix = numbers.unobserved_weight * gramian + numbers.regularization * count**numbers.exponent * np.eye(
            fixed.shape[1]
        )
        inside = held if numbers.all_pairs else held - numbers.unobserved_weight
        found[one] = np.linalg.solve(matrix + (near.T * inside) @ near, near.T @ (held * own))
    return found


def wanted(world, value, start, numbers):
    """Both half-sweeps."""
    query, item, weight, _ = world.interactions
    queries = half_sweep(start[1], query, item, value, weight, sides(world)[0], numbers)
    return queries, half_sweep(queries, item, query, value, weight, sides(world)[1], numbers)


def close(found, expected, tolerance=1e-4):
    """To `tolerance` of the table's norm."""
    expected = np.asarray(expected, np.float64)
    assert np.linalg.norm(np.asarray(found, np.float64) - expected) <= tolerance * np.linalg.norm(expected)


def check_metrics(world, value, numbers, state, metrics, tolerance=1e-5):
    expected = objective(*tables(state), world.interactions, numbers, value)._asdict()
    for name, part in expected.items():
        np.testing.assert_allclose(metrics[name], part, rtol=tolerance, atol=tolerance * float(sum(expected.values())))
    np.testing.assert_allclose(metrics["loss"], sum(expected.values()), rtol=tolerance)


@pytest.mark.parametrize("all_pairs", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_steps_metrics_are_the_objective_of_the_new_tables(solver, all_pairs, world):
    """To 1e-5 of the whole: sums of a few hundred float32 in another order."""
    assert len(wals.prepare(world[0], settings(solver)).buckets) == 2
    start = state(normal(world[0]))
    after, metrics = call(*world, settings(solver, all_pairs), start)
    assert set(metrics) == {"loss", "observed", "unobserved", "regularization"}
    check_metrics(*world, NUMBERS._replace(all_pairs=all_pairs), after, metrics)
    assert int(after.step) == 1
    assert after.params.query == after.params.item == {}


@pytest.mark.parametrize("exponent", [0.0, 1.0])
@pytest.mark.parametrize("all_pairs", [True, False])
def test_a_step_is_two_half_sweeps_of_the_normal_equations(all_pairs, exponent, world):
    """To 1e-4 of the norm, in float32 at conditions of about 100. The world has repeated pairs."""
    start, numbers = normal(world[0]), NUMBERS._replace(exponent=exponent, all_pairs=all_pairs)
    after, _ = call(*world, settings("cholesky", all_pairs), state(start), numbers)
    for found, expected in zip(tables(after), wanted(*world, start, numbers), strict=True):
        close(found, expected)


def test_a_pair_twice_is_a_pair_of_twice_the_weight_where_history_does_not_count():
    """nu = 0: then # is not in the objective."""
    twice = make([0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 2, 0, 2, 2], 3, 3)
    weight = np.array([2, 1, 1, 1, 1, 2], np.float32)
    once = make([0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 0, 2], 3, 3, weight)
    start, numbers = state(normal(once)), NUMBERS._replace(exponent=0.0)
    found, metrics = call(twice, None, settings("cholesky"), start, numbers)
    expected, others = call(once, None, settings("cholesky"), start, numbers)
    jax.tree.map(close, tables(found), tables(expected))
    np.testing.assert_allclose(metrics["loss"], others["loss"], rtol=1e-5)


def gradient(tables, interactions, numbers, value=1.0, parts=("observed", "unobserved", "regularization")):
    def total(tables):
        found = least_squares.objective(*tables, interactions, numbers, value)
        return sum(getattr(found, part) for part in parts)

    return jax.grad(total)(tables)


gradients = jax.jit(gradient, static_argnums=(2, 4))


def norm(parts):
    return float(np.sqrt(sum(np.sum(np.asarray(part, np.float64) ** 2) for part in jax.tree.leaves(parts))))


MANY = Coefficients(0.2, 0.02, 1.0)


@pytest.fixture(scope="session")
def ends(world):
    """By solver: the state after 500 iterations from one start, and the objective after each."""
    found = {}
    for solver, one in SOLVERS.items():
        data, now, losses = wals.prepare(world[0], one, world[1]), state(normal(world[0])), []
        for _ in range(10):
            now, metrics = fifty(one)(knobs(MANY), jax.random.key(0), now, data)
            losses.append(metrics["loss"])
        found[solver] = now, np.concatenate(losses)
    return found


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_solvers_end_at_the_same_objective(solver, ends):
    """From one start, after 500 iterations: to 1e-4, in float32."""
    np.testing.assert_allclose(ends[solver][1][-1], ends["cholesky"][1][-1], rtol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
def test_at_the_end_the_gradient_of_the_objective_vanishes(solver, ends, world):
    """Its norm over that of the data term alone, measured: cholesky 5e-7, cg 2e-7, block 2e-7; the bound is 1e-5."""
    found, interactions = tables(ends[solver][0]), world[0].interactions
    whole = gradients(found, interactions, MANY, world[1])
    data = gradients(found, interactions, MANY, world[1], ("observed",))
    assert norm(whole) < 1e-5 * norm(data)


@pytest.mark.parametrize("all_pairs", [True, False])
@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_the_objective_never_rises_from_half_sweep_to_half_sweep(solver, all_pairs, world):
    """By more than 1e-6 of itself, over 30 half-sweeps, each from the rows before it."""
    one, numbers = settings(solver, all_pairs), NUMBERS._replace(all_pairs=all_pairs)
    lists = [histories(*world, side, one) for side in (0, 1)]
    now = [jnp.asarray(part) for part in normal(world[0])]
    losses = [sum(objective(*now, world[0].interactions, numbers, world[1]))]
    for number in range(30):
        side = number % 2
        now[side] = fold_in(one, now[1 - side], lists[side], numbers, now[side])
        losses.append(sum(objective(*now, world[0].interactions, numbers, world[1])))
    losses = np.array(losses, np.float64)
    assert (losses[1:] <= (1 + 1e-6) * losses[:-1]).all()


@pytest.mark.parametrize("all_pairs", [True, False])
def test_folding_in_all_rows_equals_a_steps_half_sweeps(all_pairs, world):
    one, numbers = settings("cholesky", all_pairs), NUMBERS._replace(all_pairs=all_pairs)
    start = normal(world[0])
    after = tables(call(*world, one, state(start))[0])
    queries = fold_in(one, jnp.asarray(start[1]), histories(*world, 0, one), numbers)
    close(queries, after[0], 1e-5)
    close(fold_in(one, after[0], histories(*world, 1, one), numbers), after[1], 1e-5)


@pytest.mark.parametrize("all_pairs", [True, False])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_new_rows_are_stationary_and_exactly_0_without_interactions(solver, side, all_pairs, world):
    """The gradient in the new rows is below 1e-5 of that of the data term; cg gets there in ten times three steps."""
    one, numbers = settings(solver, all_pairs), NUMBERS._replace(all_pairs=all_pairs)
    both, lists = [jnp.asarray(part) for part in normal(world[0])], histories(*world, side, one)
    both[side] = fold_in(one, both[1 - side], lists, numbers)
    for _ in range(9 * (solver == "cg")):
        both[side] = fold_in(one, both[1 - side], lists, numbers, both[side])
    interactions = world[0].interactions
    whole = gradients(tuple(both), interactions, numbers, world[1])[side]
    data = gradients(tuple(both), interactions, numbers, world[1], ("observed",))[side]
    assert norm(whole) < 1e-5 * norm(data)
    empty = np.setdiff1d(np.arange(sides(world[0])[side]), interactions[side])
    assert len(empty) > 0
    np.testing.assert_array_equal(both[side][empty], 0)


EDGES = {
    "alpha0 = 0": Coefficients(0.0, 0.05, 1.0),
    "alpha0 = 0, nu = 0": Coefficients(0.0, 0.05, 0.0),
    "tiny lambda, alpha0 = 0": Coefficients(0.0, 1e-8, 1.0),
    "tiny lambda": Coefficients(0.2, 1e-8, 1.0),
    "large alpha0": Coefficients(100.0, 0.05, 1.0),
}
# Without "large alpha0" for the unobserved pairs alone: of a pair observed k times there are 1 - k unobserved ones, and
# where alpha0 is above its weights the objective has no least value.
CASES = [(name, all_pairs) for name in EDGES for all_pairs in (True, False) if all_pairs or name != "large alpha0"]


@pytest.mark.parametrize(("name", "all_pairs"), CASES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_edges_are_finite_and_never_rise_and_rows_without_interactions_are_exactly_0(solver, name, all_pairs, world):
    """With fewer interactions than dimensions a row's system is singular but for lambda, here down to 1e-8."""
    assert np.bincount(world[0].interactions.query).max() <= DIMENSION
    numbers, now = EDGES[name]._replace(all_pairs=all_pairs), state(normal(world[0]))
    losses = [float(sum(objective(*tables(now), world[0].interactions, numbers, world[1])))]
    for _ in range(5):
        now, metrics = call(*world, settings(solver, all_pairs), now, numbers)
        chex.assert_tree_all_finite((now, metrics))
        losses.append(float(metrics["loss"]))
    for side in (0, 1):
        empty = np.setdiff1d(np.arange(sides(world[0])[side]), world[0].interactions[side])
        np.testing.assert_array_equal(tables(now)[side][empty], 0)
    assert (np.diff(losses) <= 1e-4 * losses[0]).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_corpus_of_one_item(solver):
    """Each query met it, twice or not; in this world the numbers can be written out."""
    one = make([0, 1, 1, 3], [0, 0, 0, 0], 4, 1)
    start = state(normal(one))
    after, metrics = call(one, None, settings(solver), start)
    chex.assert_tree_all_finite((after, metrics))
    np.testing.assert_array_equal(tables(after)[0][2], 0)
    if solver == "cholesky":
        for found, expected in zip(tables(after), wanted(one, np.ones(4), tables(start), NUMBERS), strict=True):
            close(found, expected)


@pytest.mark.parametrize(("solver", "all_pairs"), [("cg", True), ("block", True), ("cholesky", False)])
def test_bfloat16_tables_stay_so_and_the_metrics_are_of_what_is_stored(solver, all_pairs, world):
    """bfloat16 has 8 bits: after five steps the objective is within 2 % of float32's, and its own to 1e-5."""
    one = settings(solver, all_pairs)
    now, exact = state(normal(world[0]), jnp.bfloat16), state(normal(world[0]))
    for _ in range(5):
        now, metrics = call(*world, one, now)
        exact, wanted = call(*world, one, exact)
    assert {table.dtype for table in tables(now)} == {jnp.dtype(jnp.bfloat16)}
    check_metrics(*world, NUMBERS._replace(all_pairs=all_pairs), now, metrics)
    np.testing.assert_allclose(metrics["loss"], wanted["loss"], rtol=0.02)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_a_vmap_over_knobs_equals_the_single_runs(solver, world):
    one, start = settings(solver), state(normal(world[0]))
    data = wals.prepare(world[0], one, world[1])
    values = {name: jnp.array([part, 2 * part, 0.5 * part]) for name, part in knobs(NUMBERS).items()}
    mapped, metrics = jax.jit(jax.vmap(wals.step(one), in_axes=(0, None, None, None)))(
        values, jax.random.key(0), start, data
    )
    for trial in range(3):
        single = {name: part[trial] for name, part in values.items()}
        found, wanted = program(one)(single, jax.random.key(0), start, data)
        for ours, theirs in zip(tables(mapped), tables(found), strict=True):
            close(ours[trial], theirs)
        np.testing.assert_allclose(metrics["loss"][trial], wanted["loss"], rtol=1e-4)


def test_a_second_call_compiles_nothing(world):
    one, start = settings("cg"), state(normal(world[0]))
    run = jax.jit(chex.assert_max_traces(wals.step(one), n=1))
    data = wals.prepare(world[0], one, world[1])
    start, _ = run(knobs(NUMBERS), jax.random.key(0), start, data)
    start, _ = run(knobs(MANY), jax.random.key(1), start, data)
    run(knobs(MANY), jax.random.key(1), start, wals.prepare(world[0], one))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_block_of_steps_equals_the_steps_to_the_bit(solver, world):
    one, start = settings(solver), state(normal(world[0]))
    data = wals.prepare(world[0], one, world[1])
    whole, metrics = fifty(one)(knobs(NUMBERS), jax.random.key(0), start, data)
    for number in range(50):
        start, found = program(one)(knobs(NUMBERS), jax.random.key(number), start, data)
        for name, part in found.items():
            np.testing.assert_array_equal(part, metrics[name][number])
    jax.tree.map(np.testing.assert_array_equal, whole, start)


def test_the_order_of_the_interactions_changes_nothing(world):
    (dataset, value), start = world, state(normal(world[0]))
    order = np.random.default_rng(3).permutation(len(value))
    turned = Interactions(*(part[order] for part in dataset.interactions[:3]), None)
    found, _ = call(dataset._replace(interactions=turned), value[order], settings("cholesky"), start)
    jax.tree.map(close, tables(found), tables(call(*world, settings("cholesky"), start)[0]))


HU = Coefficients(1.0, 0.3, 0.0, all_pairs=False)  # weights c; a pair without interactions has confidence 1


@pytest.fixture(scope="session")
def confidence():
    """Pairs that occur once, their confidences c from 1 on, and the item table."""
    rng = np.random.default_rng(4)
    pair = rng.choice(20 * 15, 90, replace=False)
    world = make(pair // 15, pair % 15, 20, 15, rng.uniform(1.0, 9.0, 90).astype(np.float32))
    return world, normal(world)[1]


def test_all_but_observed_pairs_of_weight_1_is_hu_koren_and_volinsky(confidence):
    """A = YᵀY + Σ (c - 1) y yᵀ + λ I, b = Σ c y. Source: Hu, Koren, Volinsky 2008, equation 4."""
    world, items = confidence
    one, (query, item, weight, _) = settings("cholesky", all_pairs=False), world.interactions
    found = np.asarray(fold_in(one, jnp.asarray(items), histories(world, None, 0, one), HU))
    exact = items.astype(np.float64)
    for user in np.unique(query):
        near, c = exact[item[query == user]], weight[query == user]
        matrix = exact.T @ exact + (near.T * (c - 1)) @ near + 0.3 * np.eye(DIMENSION)
        close(found[user], np.linalg.solve(matrix, near.T @ c))


def test_it_equals_the_package_implicit(confidence):
    """One half-sweep each of its exact solver, in float32: to 1e-3 of the norm."""
    als = pytest.importorskip("implicit.cpu.als")
    sparse = pytest.importorskip("scipy.sparse")
    world, items = confidence
    query, item, weight, _ = world.interactions
    one = settings("cholesky", all_pairs=False)
    theirs = np.zeros((20, DIMENSION), np.float32)
    given = sparse.csr_matrix((weight, (query, item)), shape=(20, 15))
    als._als.least_squares(given, theirs, items, 0.3, num_threads=1)
    close(fold_in(one, jnp.asarray(items), histories(world, None, 0, one), HU), theirs, 1e-3)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "block"])
def test_of_lapack_a_program_calls_the_eigenvectors_alone(solver, world):
    """jaxlib's batched LAPACK calls wait for the thread pool that they run on; one of a single matrix does not."""
    one = settings(solver)
    data = wals.prepare(world[0], one, world[1])
    lowered = program(one).lower(knobs(NUMBERS), jax.random.key(0), state(normal(world[0])), data)
    assert set(re.findall(r"lapack_\w+", lowered.compile().as_text())) == {"lapack_ssyevd_ffi"}


def script(words):
    """Runs a program of its own; one that waits for ever fails."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
    for name in ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS"):  # what waits for ever may hide without optimisations
        environment.pop(name, None)
    try:
        done = subprocess.run(
            [sys.executable, "-c", words], env=environment, timeout=120, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.fail("a program of several solves has not ended within 120 seconds: they wait for each other")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "done"


def test_two_solves_of_one_program_do_not_wait_for_each_other():
    """256 rows at D = 64, twice: as batched LAPACK calls this waited for ever on two cores with jaxlib 0.10.2."""
    script("""
import jax, jax.numpy as jnp, numpy as np
from recjax import configs, ragged, solvers, wals
from recjax.least_squares import Coefficients
rng = np.random.default_rng(0)
row, other = np.repeat(np.arange(256), 8), rng.integers(0, 300, 2048)
one = np.ones(2048, np.float32)
packed = ragged.pack(row, other, one, one, sides=[256], batch=lambda length: 256)
packed = jax.tree.map(jnp.asarray, packed)
assert [bucket.ids.shape for bucket in packed.buckets] == [(1, 256, 8)]
solver = solvers.resolve(configs.Wals(solver="cholesky"))

def run(fixed):
    return tuple(wals.fold_in(scale * fixed, packed, solver, Coefficients(0.1, 0.01)) for scale in (1.0, 2.0))

fixed = rng.normal(size=(300, 64)).astype(np.float32)
found = jax.jit(run)(fixed)
for scale, rows in zip((1.0, 2.0), found):
    table = scale * fixed.astype(np.float64)
    near = table[other.reshape(256, 8)]
    matrix = near.swapaxes(1, 2) @ near + 0.1 * table.T @ table + 0.01 * (8 + 0.1 * 300) * np.eye(64)
    wanted = np.linalg.solve(matrix, near.sum(1)[..., None])[..., 0]
    np.testing.assert_allclose(rows, wanted, atol=1e-4 * np.abs(wanted).max())
print("done")
""")


def test_eigenvectors_of_one_program_do_not_wait_for_each_other():
    """Eight matrices, and three batches of 256: by a batched `jnp.linalg.eigh` those wait for ever, as above."""
    script("""
import jax, numpy as np
from recjax import linalg
rows = np.random.default_rng(0).normal(size=(256, 64, 80)).astype(np.float32)
matrix = rows @ rows.swapaxes(1, 2)

def run(matrix):
    alone = [linalg.eigen(one) for one in matrix[:8]]
    return alone, [jax.vmap(linalg.eigen)(scale * matrix) for scale in (1.0, 2.0, 3.0)]

alone, batched = jax.jit(run)(matrix)
for scale, (values, basis) in zip((1.0, 2.0, 3.0), batched):
    found = np.einsum("bij,bj,bkj->bik", basis, values, basis)
    np.testing.assert_allclose(found, scale * matrix, atol=1e-4 * np.abs(matrix).max())
np.testing.assert_allclose([values for values, _ in alone], batched[0][0][:8], rtol=1e-4, atol=1e-3)
print("done")
""")


def test_solves_on_several_devices_do_not_wait_for_each_other():
    """Four simulated devices share one thread pool."""
    script("""
import jax
jax.config.update("jax_num_cpu_devices", 4)
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from recjax import linalg
assert len(jax.devices()) == 4
rng = np.random.default_rng(0)
rows = rng.normal(size=(256, 64, 80)).astype(np.float32)
matrix, right = rows @ rows.swapaxes(1, 2) / 80 + np.eye(64, dtype=np.float32), rows.sum(2)
mesh, batch = Mesh(np.array(jax.devices()), ("batch",)), PartitionSpec("batch")

def run(matrix, right):
    return linalg.solve(matrix, right) + linalg.solve(2 * matrix, right)

found = jax.jit(jax.shard_map(run, mesh=mesh, in_specs=(batch, batch), out_specs=batch))(matrix, right)
wanted = 1.5 * np.linalg.solve(matrix.astype(np.float64), right[..., None])[..., 0]
np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
print("done")
""")
