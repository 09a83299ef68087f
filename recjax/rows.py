"""Training by rows: a step's cost follows the rows that it touches, not the tables that they are in.

The step gathers those rows and the rows of the optimizer's state that belong to them, differentiates with respect to
them, and writes them back in place. Whatever maps a gradient to an update element by element, or through one norm of
all, gives the touched rows what it would give them in whole tables; `kind` finds out which optimizers do. With
some (SGD, Adagrad) the other rows would not have moved anyway; with those that keep moments (Adam, momentum) they
would have, and now do not: training is *lazy*.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from recjax import linalg, tables
from recjax.tables import Rows
from recjax.types import Key, Params

BREAK_EVEN = 8  # rows of a table for each id that a step reads, above which training by rows is faster

Touched = Mapping[str, Int[Array, " R"]]  # of the tables that are trained by rows, the row ids of `distinct`


def pays(table: tables.Table, reads: int) -> bool:
    """Whether a table is to be trained by rows where a step reads so many ids of it."""
    return table.update == "rows" or (table.update == "auto" and table.rows > BREAK_EVEN * reads)


def choose(specs: Mapping[str, tables.Table], reads: Mapping[str, Int[Array, " R"]], allowed: bool) -> Touched:
    """The rows that a step touches, of the tables that are to be trained by rows.

    Args:
        reads: row ids, of the tables that are not read whole.
    """
    return {
        name: distinct(ids, specs[name].rows) for name, ids in reads.items() if allowed and pays(specs[name], len(ids))
    }


def distinct(ids: Int[Array, " R"], rows: int) -> Int[Array, " R"]:
    """The different ids in rising order, then others of `rows` or more in the places that are left over.

    >>> distinct(jnp.array([5, 2, 5, 5]), rows=9).tolist()
    [2, 5, 11, 12]
    """
    ids = jnp.sort(ids)
    first = jnp.concatenate([jnp.ones(1, bool), ids[1:] != ids[:-1]])
    return (rows + jnp.arange(len(ids), dtype=ids.dtype)).at[jnp.cumsum(first) - 1].set(ids)


def take(params: Params, touched: Touched) -> Params:
    """What is trained, in float32: of a table in `touched` its rows [R D], and everything else as it is."""
    found = {name: _take(table, touched[name]) if name in touched else table for name, table in params.tables.items()}
    return params._replace(tables={name: table.astype(jnp.float32) for name, table in found.items()})


def view(values: Params, touched: Touched) -> Params:
    """Values of `take`, as towers read them."""
    found = {name: Rows(touched[name], table) if name in touched else table for name, table in values.tables.items()}
    return values._replace(tables=found)


def put(key: Key, params: Params, touched: Touched, values: Params) -> Params:
    """Parameters with new values of what `take` gave, in the tables' storage."""
    found = {}
    for (name, table), one in zip(params.tables.items(), jax.random.split(key, len(params.tables) or 1), strict=False):
        new = tables.store(one, values.tables[name], table.dtype.name)
        found[name] = linalg.put(table, touched[name], new, rising=True) if name in touched else new
    return values._replace(tables=found)


def update(
    optimizer: optax.GradientTransformation, gradient: Params, state: Any, values: Params, touched: Touched
) -> tuple[Params, Any]:
    """An optimizer's update of `values` and its new state, of which only the touched rows are read and written."""
    if not touched:
        return optimizer.update(gradient, state, values)
    names = jax.tree.map(lambda _: "", values)._replace(tables={name: name for name in values.tables})
    owner = optax.tree_map_params(optimizer, lambda _, name: name, state, names, transform_non_params=lambda _: "")
    part = jax.tree.map(lambda name, leaf: _take(leaf, touched[name]) if name in touched else leaf, owner, state)
    updates, part = optimizer.update(gradient, part, values)
    new = jax.tree.map(
        lambda name, leaf, found: linalg.put(leaf, touched[name], found, rising=True) if name in touched else found,
        owner,
        state,
        part,
    )
    return updates, new


@functools.cache
def kind(build: Callable[[float], optax.GradientTransformation]) -> str:
    """How an optimizer trains rows, found out on a small table.

    Returns:
        "exact": as in the whole table. "lazy": the touched rows as in the whole table, but the others would have moved
        too. "whole": what a row gets depends on rows that the step does not touch.

    >>> {name: kind(getattr(optax, name)) for name in ("sgd", "adam", "adafactor")}
    {'sgd': 'exact', 'adam': 'lazy', 'adafactor': 'whole'}
    """
    optimizer, draw = build(0.1), np.random.default_rng(0)
    table, first, second = (jnp.asarray(draw.standard_normal((6, 4)), jnp.float32) for _ in range(3))
    some, ids = slice(0, 3), {"table": jnp.arange(3)}

    def wrap(table: Array) -> Params:
        return Params({"table": table}, (), ())

    @jax.jit
    def both(scale):
        _, state = optimizer.update(wrap(scale * first), optimizer.init(wrap(table)), wrap(table))
        gradient = scale * second.at[3:].set(0.0)
        return (
            optimizer.update(wrap(gradient), state, wrap(table)),
            update(optimizer, wrap(gradient[some]), state, wrap(table[some]), ids),
        )

    exact = True
    for scale in (1e-3, 1.0, 1e3):  # what clips does so above some size
        try:
            (whole, whole_state), (part, part_state) = both(scale)
        except (IndexError, TypeError, ValueError):  # its state has no row for each row of the table
            return "whole"
        all_moves, moves = whole.tables["table"], part.tables["table"]
        leaves = list(zip(jax.tree.leaves(whole_state), jax.tree.leaves(part_state), strict=True))
        if not _near(all_moves[some], moves) or not all(_near(one[some], two[some]) for one, two in leaves if one.ndim):
            return "whole"
        exact &= all(_near(one, two) for one, two in leaves) and not jnp.any(all_moves[3:])
    return "exact" if exact else "lazy"


def _near(one: Array, two: Array) -> bool:
    return one.shape == two.shape and bool(np.allclose(one, two, rtol=1e-5, atol=1e-7))


def _take(table: Float[Array, "N D"], ids: Int[Array, " R"]) -> Float[Array, "R D"]:
    exists = ids < len(table)
    found = linalg.take(table, jnp.where(exists, ids, 0))
    return jnp.where(exists.reshape(-1, *(1,) * (table.ndim - 1)), found, 0)
