"""Embedding tables: which row an id reads, lookup, and sums of bags. Tables live outside the nets, by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from recjax.types import Bag, Key

PADDING = -(2**31)  # an id that reads no row, but zeros


@dataclasses.dataclass(frozen=True)
class Table:
    """A table's settings.

    Ids in [0, size) have a row each, or share `buckets` rows by hash where buckets > 0. Every other id
    (vocabularies give -1 to what they do not know) reads one of `unknown` extra rows at the end, by hash;
    with unknown = 0 the caller promises that there is none. PADDING reads zeros.
    """

    size: int
    dimension: int
    scale: float = 0.1  # the expected norm of a new row
    buckets: int = 0
    unknown: int = 1
    storage: str = "float32"  # or bfloat16; all arithmetic is in float32
    update: str = "auto"  # dense, rows or auto: see `recjax.rows`

    @property
    def rows(self) -> int:
        return (self.buckets or self.size) + self.unknown


def hash_ids(ids: Int[Array, "*B"], buckets: int) -> Int[Array, "*B"]:
    """Ids spread over [0, buckets) by a fixed mixing of their bits.

    Source: Austin Appleby, MurmurHash3 (2011), the 32-bit finalizer.

    >>> hash_ids(jnp.arange(4), 10).tolist()
    [0, 7, 8, 7]
    """
    x = ids.astype(jnp.uint32)
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return ((x ^ (x >> 16)) % jnp.uint32(buckets)).astype(jnp.int32)


def row_ids(table: Table, ids: Int[Array, "*B"]) -> Int[Array, "*B"]:
    """The row that each id reads; for PADDING one past the last.

    >>> row_ids(Table(size=3, dimension=1), jnp.array([0, 2, 3, -1, PADDING])).tolist()
    [0, 2, 3, 3, 4]
    """
    found = hash_ids(ids, table.buckets) if table.buckets else ids
    if table.unknown:
        other = (table.buckets or table.size) + hash_ids(ids, table.unknown)
        found = jnp.where((ids >= 0) & (ids < table.size), found, other)
    return jnp.where(ids == PADDING, table.rows, found)


class Rows(NamedTuple):
    """Some rows of a table, in its place: what a step touches."""

    ids: Int[Array, " R"]  # rising; past the table's last in places that are left over
    values: Float[Array, "R D"]


def init(key: Key, specs: Mapping[str, Table]) -> dict[str, Array]:
    """New tables with entries ~ N(0, scale² / D), so that a row's expected squared norm is scale²."""
    keys = jax.random.split(key, max(1, len(specs)))
    return {name: _new(one, specs[name]) for one, name in zip(keys, sorted(specs), strict=False)}


def reads(table: Table, ids: Int[Array, "*B"] | Bag) -> Int[Array, " R"]:
    """The rows that `lookup` reads for ids, or for a bag of them; for a bag's padding one past the last."""
    ids = jnp.where(ids.where, ids.ids, PADDING) if isinstance(ids, Bag) else ids
    return row_ids(table, ids).reshape(-1)


def lookup(specs: Mapping[str, Table], values: Mapping[str, Any], ids: Mapping[str, Any]) -> dict[str, Any]:
    """The rows for `{table: pytree of ids}`, in the same structure and in float32.

    Each [...] of ids becomes [... D], and each bag [... L] the sum [... D] of its rows.

    Args:
        values: tables, or the Rows of them that these ids read.
    """

    def read(name: str, ids: Int[Array, "*B"] | Bag) -> Float[Array, "*B D"]:
        table, index = values[name], row_ids(specs[name], ids.ids if isinstance(ids, Bag) else ids)
        if isinstance(table, Rows):
            index, table = jnp.searchsorted(table.ids, index), table.values
        if isinstance(ids, Bag):
            return bag(table, index, ids.where)
        found = table.at[index].get(mode="fill", fill_value=0, wrap_negative_indices=False)
        return found.astype(jnp.float32)

    return {
        name: jax.tree.map(lambda leaf, name=name: read(name, leaf), tree, is_leaf=lambda leaf: isinstance(leaf, Bag))
        for name, tree in ids.items()
    }


@jax.custom_vjp
def bag(table: Float[Array, "R D"], index: Int[Array, "*B L"], where: Bool[Array, "*B L"]) -> Float[Array, "*B D"]:
    """The sum of table[index] over a padded list, in float32; an empty list gives zeros.

    It adds one place of all lists after another, and so does its gradient: no array [*B L D] is made.

    >>> table = jnp.array([[1.0], [3.0], [9.0]])
    >>> bag(table, jnp.array([[0, 1, 2], [2, 2, 0]]), jnp.array([[True, True, False], [True, True, True]])).tolist()
    [[4.0], [19.0]]
    """

    def add(total, place):
        index, where = place
        return total + jnp.where(where[..., None], table[index].astype(jnp.float32), 0.0), None

    start = jnp.zeros((*index.shape[:-1], table.shape[1]))
    return jax.lax.scan(add, start, (jnp.moveaxis(index, -1, 0), jnp.moveaxis(where, -1, 0)))[0]


def _bag_forward(table, index, where):
    return bag(table, index, where), (table, index, where)


def _bag_backward(saved, gradient):
    table, index, where = saved
    return _add_bag(jnp.zeros(table.shape), index, where, gradient).astype(table.dtype), None, None


bag.defvjp(_bag_forward, _bag_backward)


def add(
    specs: Mapping[str, Table], totals: Mapping[str, Array], ids: Mapping[str, Any], rows: Mapping[str, Any]
) -> dict[str, Array]:
    """The transpose of `lookup`: `totals`, like the tables, and in them the sum of what came of each row, in place."""
    found = dict(totals)
    for name, tree in ids.items():
        leaves, _ = jax.tree.flatten(tree, is_leaf=lambda leaf: isinstance(leaf, Bag))
        for leaf, part in zip(leaves, jax.tree.leaves(rows[name]), strict=True):
            index, total = row_ids(specs[name], leaf.ids if isinstance(leaf, Bag) else leaf), found[name]
            new = part.astype(total.dtype)
            if isinstance(leaf, Bag):
                found[name] = _add_bag(total, index, leaf.where, new)
            else:
                found[name] = total.at[index].add(new, mode="drop", wrap_negative_indices=False)
    return found


def _add_bag(total, index, where, gradient):
    def one(total, place):
        index, where = place
        # Padding is past the end, and so dropped.
        return total.at[jnp.where(where, index, len(total))].add(gradient, mode="drop"), None

    return jax.lax.scan(one, total, (jnp.moveaxis(index, -1, 0), jnp.moveaxis(where, -1, 0)))[0]


def combine(total: Float[Array, "*B D"], where: Bool[Array, "*B L"], name: str = "mean") -> Float[Array, "*B D"]:
    """The mean of a bag, its sum, or its sum / sqrt(count), from the sum. An empty bag gives zeros.

    >>> total, where = jnp.array([4.0]), jnp.array([True, True, False])
    >>> [float(combine(total, where, name)[0]) for name in ("mean", "sum", "sqrt_n")]
    [2.0, 4.0, 2.8284270763397217]
    """
    count = jnp.maximum(jnp.sum(where, axis=-1, keepdims=True), 1).astype(total.dtype)
    return {"mean": total / count, "sum": total, "sqrt_n": total * jax.lax.rsqrt(count)}[name]


def store(key: Key, values: Float[Array, "R D"], storage: str) -> Float[Array, "R D"]:
    """Values as a table keeps them. In bfloat16 they are rounded up or down at random, so that their mean is kept.

    Without it an update below 1 / 512 of a value would be lost. Source: Gupta et al. 2015 (stochastic rounding).

    >>> values = jnp.full((10_000, 1), 1 + 2**-9)  # a quarter of the way from 1 to the next bfloat16
    >>> found = store(jax.random.key(0), values, "bfloat16").astype(jnp.float32)
    >>> sorted(set(found[:, 0].tolist())), round(float(jnp.mean(found == 1)), 2)
    ([1.0, 1.0078125], 0.75)
    """
    if storage == "float32":
        return values
    bits = jax.lax.bitcast_convert_type(values, jnp.uint32) + jax.random.bits(key, values.shape, jnp.uint16)
    rounded = jax.lax.bitcast_convert_type((bits >> 16).astype(jnp.uint16), jnp.bfloat16)
    return jnp.where(jnp.isfinite(values), rounded, values.astype(jnp.bfloat16))


def _new(key: Key, table: Table, block: int = 2**16) -> Float[Array, "R D"]:
    """A new table, drawn in blocks, so that memory beyond it does not grow."""

    def draw(key: Key, rows: int) -> Float[Array, "R D"]:
        scale = table.scale / table.dimension**0.5
        return (scale * jax.random.normal(key, (rows, table.dimension))).astype(table.storage)

    if table.rows <= block:
        return draw(key, table.rows)

    def one(index, values):
        first = jnp.minimum(index * block, table.rows - block)  # the last one starts early enough to be whole
        return jax.lax.dynamic_update_slice_in_dim(values, draw(jax.random.fold_in(key, index), block), first, 0)

    # Two tables that began with the same zeros would be copies of one array, both held for a while.
    start = jnp.full((table.rows, table.dimension), draw(key, 1)[0, 0])
    return jax.lax.fori_loop(0, -(-table.rows // block), one, start)
