"""Embedding tables: which row an id reads, lookup, and bags of rows. Tables live outside the nets, by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from recjax.types import Key


@dataclasses.dataclass(frozen=True)
class Table:
    """A table's settings.

    Ids in [0, size) have a row each, or share `buckets` rows by hash where buckets > 0. Every other id
    (vocabularies give -1 to what they do not know) reads one of `unknown` extra rows at the end, by hash;
    with unknown = 0 the caller promises that there is none.
    """

    size: int
    dimension: int
    scale: float = 0.1  # the expected norm of a new row
    buckets: int = 0
    unknown: int = 1

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
    """The row that each id reads.

    >>> row_ids(Table(size=3, dimension=1), jnp.array([0, 2, 3, -1])).tolist()
    [0, 2, 3, 3]
    """
    known = hash_ids(ids, table.buckets) if table.buckets else ids
    if not table.unknown:
        return known
    other = (table.buckets or table.size) + hash_ids(ids, table.unknown)
    return jnp.where((ids >= 0) & (ids < table.size), known, other)


def init(key: Key, specs: Mapping[str, Table]) -> dict[str, Array]:
    """New tables with entries ~ N(0, scale² / D), so that a row's expected squared norm is scale²."""
    keys = jax.random.split(key, max(1, len(specs)))
    return {
        name: specs[name].scale
        / specs[name].dimension ** 0.5
        * jax.random.normal(one, (specs[name].rows, specs[name].dimension))
        for one, name in zip(keys, sorted(specs), strict=False)
    }


def lookup(specs: Mapping[str, Table], values: Mapping[str, Array], ids: Mapping[str, Any]) -> dict[str, Any]:
    """The rows for `{table: pytree of ids}`, in the same structure: each [...] of ids becomes [... D], in float32."""
    return {
        name: jax.tree.map(lambda leaf, name=name: values[name][row_ids(specs[name], leaf)].astype(jnp.float32), tree)
        for name, tree in ids.items()
    }


def bag(rows: Float[Array, "*B L D"], where: Bool[Array, "*B L"], combine: str = "mean") -> Float[Array, "*B D"]:
    """One row for a padded list of rows: their mean, sum, or sum / sqrt(count). An empty list gives zeros.

    >>> rows, where = jnp.array([[1.0], [3.0], [9.0]]), jnp.array([True, True, False])
    >>> [float(bag(rows, where, combine)[0]) for combine in ("mean", "sum", "sqrt_n")]
    [2.0, 4.0, 2.8284270763397217]
    """
    total = jnp.sum(jnp.where(where[..., None], rows, 0.0), axis=-2)
    count = jnp.maximum(jnp.sum(where, axis=-1, keepdims=True), 1).astype(rows.dtype)
    return {"mean": total / count, "sum": total, "sqrt_n": total * jax.lax.rsqrt(count)}[combine]
