"""The log-partition of a softmax over the whole corpus, exact, in blocks: its logits [B N] never exist.

The gradient computes the logits of a block once more, so that value and gradient take 8 B N D flops instead of 6.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from recjax import logits, scores, tables
from recjax.types import Features, Key, Model, Params

BLOCK = 4096  # items scored at once

# write(gradient of the source, gradient of the items [C D]) -> gradient of the source
Write = Callable[[Any, Array], Any]
# read(source, given, first, size) -> (the items first, first + 1, ... [size D], write)
Read = Callable[[Any, Any, Array, int], tuple[Array, Write]]


def log_partition(
    queries: Float[Array, "B D"],
    items: Float[Array, "N D"],
    *,
    bias: Float[Array, " N"] | None = None,
    score: Callable[[Array, Array], Array] = scores.dot,
    temperature: float | Array = 1.0,
    exclude: Int[Array, "B L"] | None = None,
    block: int = BLOCK,
) -> Float[Array, " B"]:
    """Log of the sum over items of exp(score / temperature + bias).

    In float32, whatever the items are kept in. Differentiable in queries, items, bias and temperature.
    Source: Milakov and Gimelshein 2018, algorithm 3 (running maximum and sum); Dao et al. 2022, section 3.1
    (recomputation in the gradient).

    Args:
        exclude: ids that do not count for a row; ids outside [0, N) are padding.
        block: items scored at once: memory beyond the gradients is O(B block), whatever N.

    Returns:
        -inf, with gradients of 0, for a row that excludes every item.

    >>> items = jnp.log(jnp.array([[2.0], [3.0], [4.0]]))
    >>> found = log_partition(jnp.ones((1, 1)), items, exclude=jnp.array([[1]]), block=2)
    >>> print(f"{jnp.exp(found[0]):.4f} = {2 + 4:.4f}")
    6.0000 = 6.0000
    """

    def read(items, given, first, size):
        return _cut(items, first, size), lambda gradient, found: _paste(gradient, found, first)

    learned = items, queries.astype(jnp.float32), jnp.asarray(temperature, jnp.float32), bias
    return _log_partition(read, score, block, items.shape[0], learned, ((), exclude))


def tower_log_partition(
    key: Key | None,
    queries: Float[Array, "B D"],
    model: Model,
    params: Params,
    features: Features,
    *,
    bias: Float[Array, " N"] | None = None,
    score: Callable[[Array, Array], Array] = scores.dot,
    temperature: float | Array = 1.0,
    exclude: Int[Array, "B L"] | None = None,
    block: int = BLOCK,
) -> Float[Array, " B"]:
    """`log_partition` over φ of every item, embedded a block at a time: the embeddings [N D] never exist either.

    Differentiable in queries, bias, temperature and the item tower's part of `params`; not in `features`. The gradient
    of the rows that a block reads is added to the tables' in place: no block costs O(N).

    Args:
        key: of the dropout, the same in both passes: a block's has its first id folded in. None: no dropout.
        features: of the corpus, each with leading axis N.
    """

    def read(source, given, first, size):
        (net, values), (features, key) = source, given
        here = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, size), features)
        ids = model.item.ids(here)
        rows = tables.lookup(model.specs, values, ids)
        own = None if key is None else jax.random.fold_in(key, first)
        items, pull = jax.vjp(lambda net, rows: model.item.apply(own, net, rows, here), net, rows)

        def write(gradient, found):
            net, rows = pull(found)
            return jax.tree.map(jnp.add, gradient[0], net), tables.add(model.specs, gradient[1], ids, rows)

        return items, write

    source = params.item, {name: params.tables[name] for name in model.item.ids(features)}
    learned = source, queries.astype(jnp.float32), jnp.asarray(temperature, jnp.float32), bias
    count = jax.tree.leaves(features)[0].shape[0]
    return _log_partition(read, score, block, count, learned, ((features, key), exclude))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3))
def _log_partition(read: Read, score, block: int, count: int, learned, given) -> Float[Array, " B"]:
    """Of learned = (source, queries [B D], temperature, bias [N]), given (what `read` needs besides, exclude [B L])."""
    source, queries, temperature, bias = learned
    own, exclude = given

    def add(state, first, size):
        top, total = state
        items, _ = read(source, own, first, size)
        found = _logits(score, queries, items, temperature, _cut(bias, first, size))
        found = _without(found, exclude, first)
        new = jnp.maximum(top, jnp.max(found, axis=-1))
        shift = jnp.where(jnp.isneginf(new), 0.0, new)
        return new, total * jnp.exp(top - shift) + jnp.sum(jnp.exp(found - shift[:, None]), axis=-1)

    batch = queries.shape[0]
    top, total = _fold(add, (jnp.full(batch, -jnp.inf), jnp.zeros(batch)), count, block)
    return top + jnp.log(total)


def _forward(read, score, block, count, learned, given):
    found = _log_partition(read, score, block, count, learned, given)
    return found, (learned, given, found)


def _backward(read, score, block, count, kept, cotangent):
    (source, queries, temperature, bias), (own, exclude), partition = kept
    shift = jnp.where(jnp.isneginf(partition), 0.0, partition)

    def add(gradient, first, size):
        items, write = read(source, own, first, size)
        part = _cut(bias, first, size)
        found, pull = jax.vjp(functools.partial(_logits, score), queries, items, temperature, part)
        found = _without(found, exclude, first)
        of_queries, of_items, of_temperature, of_bias = pull(cotangent[:, None] * jnp.exp(found - shift[:, None]))
        return (
            write(gradient[0], of_items),
            gradient[1] + of_queries,
            gradient[2] + of_temperature,
            None if bias is None else _paste(gradient[3], of_bias, first),
        )

    learned = source, queries, temperature, bias
    return _fold(add, jax.tree.map(jnp.zeros_like, learned), count, block), None


_log_partition.defvjp(_forward, _backward)


def _fold(add: Callable, state, count: int, block: int):
    """`add(state, first, size)` over the blocks: all whole ones in a loop, and what is left over after it."""
    size = min(block, count)
    whole, rest = divmod(count, size)
    state = jax.lax.fori_loop(0, whole, lambda index, state: add(state, index * size, size), state)
    return add(state, whole * size, rest) if rest else state


def _logits(score, queries, items, temperature, bias) -> Float[Array, "B C"]:
    found = logits.scale(score(queries, items), temperature)
    return found if bias is None else found + bias


def _without(found: Float[Array, "B C"], exclude: Int[Array, "B L"] | None, first) -> Float[Array, "B C"]:
    """-inf where an id is excluded. A mask of bytes is cheaper to scatter into than the logits are to rewrite."""
    if exclude is None:
        return found
    batch, size = found.shape
    # Ids of other blocks fall outside and are dropped; negative indices would wrap around.
    local = jnp.where(exclude >= first, exclude - first, size)
    where = jnp.ones((batch, size), bool).at[jnp.arange(batch)[:, None], local].set(False, mode="drop")
    return jnp.where(where, found, -jnp.inf)


def _cut(table, first, size: int):
    """Rows of a table, in float32; None of None."""
    return None if table is None else jax.lax.dynamic_slice_in_dim(table, first, size).astype(jnp.float32)


def _paste(table, rows, first):
    return jax.lax.dynamic_update_slice_in_dim(table, rows.astype(table.dtype), first, 0)
