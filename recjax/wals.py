"""Matrix factorization by weighted alternating least squares: the step, and fold-in. The objective: `least_squares`.

A row without interactions becomes 0, which is its best value also where α0 = 0.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from recjax import configs, half_sweep, least_squares, linalg, ragged, solvers
from recjax.errors import InputError
from recjax.least_squares import Coefficients
from recjax.ragged import Ragged
from recjax.types import Dataset, Key, Knobs, Params, State, Step


def prepare(dataset: Dataset, settings: configs.Wals, value: np.ndarray | None = None) -> Ragged:
    """Packs the interactions of both sides and puts them on the device: M queries, then N items, are rows of one table.

    The two sides of a bipartite graph as one table let a program compile each shape once, and not once a side.

    Args:
        value: a [E], of each interaction; by default 1.
    """
    query, item, weight, _ = dataset.interactions
    value = np.ones(len(query), np.float32) if value is None else value
    sides = tuple(len(dataset.vocabularies[name]) for name in ("query", "item"))
    query, item = query.astype(np.int32), item.astype(np.int32) + np.int32(sides[0])
    row, other = np.concatenate([query, item]), np.concatenate([item, query])
    packed = _pack(row, other, np.concatenate([value, value]), np.concatenate([weight, weight]), sides, settings)
    # A program's rows are in the order of the slots, so that a batch is a slice. Padding may name a row without a slot.
    buckets = tuple(bucket._replace(ids=np.maximum(packed.slot[bucket.ids], 0)) for bucket in packed.buckets)
    return jax.tree.map(jnp.asarray, packed._replace(buckets=buckets))


def prepare_fold_in(
    row: np.ndarray,
    other: np.ndarray,
    rows: int,
    others: int,
    settings: configs.Wals,
    value: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Ragged:
    """Packs what `rows` rows have met, pairs (row, id on the other side) [E], and puts it on the device.

    Args:
        others: rows of the other side, which stays fixed.
        settings: with the solver that will solve: a batch is of its size.
        value: a [E], by default 1.
        weight: w [E], by default 1.

    Raises:
        InputError: no pair at all, a row or an id that does not exist, or a weight that is not above 0.
    """
    for name, ids, size in (("row", row, rows), ("id", other, others)):
        if len(ids) and not (np.min(ids) >= 0 and np.max(ids) < size):
            given = np.min(ids) if np.min(ids) < 0 else np.max(ids)
            raise InputError(f"fold-in: there is {name} {given}; wanted 0 to {size - 1}: leave unknown ones out")
    one = np.ones(len(row), np.float32)
    value, weight = one if value is None else value, one if weight is None else weight
    packed = _pack(row, other, value, weight, (rows,), settings, shapes=4)
    return jax.tree.map(jnp.asarray, packed)


def _pack(row, other, value, weight, sides: tuple[int, ...], settings: configs.Wals, shapes: int = 24) -> Ragged:
    if len(row) == 0 or not np.min(weight) > 0:
        given = f"a weight of {np.min(weight)}" if len(row) else "no interactions"
        raise InputError(f"WALS got {given}; wanted interactions, each with a weight above 0: leave the others out")
    # On a CPU conjugate gradients read a batch's rows again and again from its caches; the direct solvers read them
    # once and then work on D x D systems, of which 16 fit the caches.
    cells, systems = (2**13, 16) if jax.default_backend() == "cpu" else (2**18, 256)

    def batch(length: int) -> int:
        if settings.solver == "cg":
            return cells // length
        short = min(cells // length, systems * 64**2 // length**2)  # where the systems are L x L
        return max(systems, short) if settings.solver == "cholesky" else systems

    # `worth`: a further shape, which takes about .4 s to compile, must save that many cells of padding.
    return ragged.pack(row, other, value, weight, sides=sides, batch=batch, shapes=shapes, worth=46_000)


def init(params: Params) -> State:
    """The state before the first step, from the tables "query" [M D] and "item" [N D]."""
    return State(jnp.zeros((), jnp.int32), params, (), (), ())


def step(settings: configs.Wals) -> Step:
    """One iteration: a half-sweep over the queries, then one over the items. The key is not used.

    The metrics are the objective after the iteration, as `loss` and in parts.
    """
    solver = solvers.resolve(settings)

    def advance(knobs: Knobs, key: Key, state: State, data: Ragged):
        numbers = coefficients(knobs, settings)
        queries, items = state.params.tables["query"], state.params.tables["item"]
        others = jnp.array([len(items), len(queries)])

        def half(carry, side):
            table, gramian = carry
            table, gramian, found = half_sweep.solve(table, table, gramian, side, others[side], data, solver, numbers)
            return (table, gramian), found

        # Accelerators round the inputs of a matrix product by default.
        with jax.default_matmul_precision("highest"):
            start = _into_slots((queries, items), data), least_squares.gramian(items)
            (table, _), halves = jax.lax.scan(half, start, jnp.arange(2))
        found = jax.tree.map(lambda part: part[1], halves)._replace(regularization=jnp.sum(halves.regularization))
        params = state.params._replace(
            tables=dict(zip(("query", "item"), _out_of_slots(table, (queries, items), data), strict=True))
        )
        return state._replace(step=state.step + 1, params=params), {"loss": sum(found), **found._asdict()}

    return advance


def coefficients(knobs: Knobs, settings: configs.Wals) -> Coefficients:
    """The objective's numbers out of the knobs."""
    return Coefficients(
        knobs["wals.unobserved_weight"], knobs["wals.regularization"], knobs["wals.exponent"], settings.all_pairs
    )


def fold_in(
    fixed: Float[Array, "N D"],
    histories: Ragged,
    solver: solvers.Solver,
    numbers: Coefficients,
    start: Float[Array, "R D"] | None = None,
) -> Float[Array, "R D"]:
    """Embeddings of new queries, from what they met and the item table; or of new items, from the query table.

    They minimise the objective with `fixed` as it is, as far as `solver` goes from `start` (by default 0).
    """
    rows = jnp.zeros((len(histories.slot), fixed.shape[1]), fixed.dtype) if start is None else start
    with jax.default_matmul_precision("highest"):
        gramian, table = least_squares.gramian(fixed), _into_slots([rows], histories)
        table, _, _ = half_sweep.solve(table, fixed, gramian, 0, len(fixed), histories, solver, numbers)
    return _out_of_slots(table, [rows], histories)[0]


def _into_slots(sides: Sequence[Float[Array, "_ D"]], histories: Ragged) -> Float[Array, "X D"]:
    """The rows of the sides in their slots; those without a list stay behind."""
    table = jnp.zeros((len(histories.row), sides[0].shape[1]), sides[0].dtype)
    # XLA's CPU compiler writes whole rows in half the time that it takes to read them.
    for rows, first in zip(sides, _firsts(sides), strict=True):
        table = linalg.put(table, _within(histories.slot[first : first + len(rows)], 0, len(table)), rows)
    return table


def _out_of_slots(
    table: Float[Array, "X D"], sides: Sequence[Float[Array, "_ D"]], histories: Ragged
) -> list[Float[Array, "_ D"]]:
    """The sides with the rows that are in the slots; those without a list become 0."""
    return [
        linalg.put(jnp.zeros_like(rows), _within(histories.row, first, len(rows)), table)
        for rows, first in zip(sides, _firsts(sides), strict=True)
    ]


def _firsts(sides: Sequence[Array]) -> list[int]:
    return [0, *itertools.accumulate(len(rows) for rows in sides)][:-1]


def _within(ids: Int[Array, " R"], first: int, size: int) -> Int[Array, " R"]:
    """What is ids - first where that is in [0, size), and ids past the end, which differ, elsewhere."""
    places = ids - first
    return jnp.where((places >= 0) & (places < size), places, size + jnp.arange(len(ids), dtype=ids.dtype))
