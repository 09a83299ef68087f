"""Embeddings under a model: the one place where towers meet tables, or the rows of them that a step touches."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from recjax import tables
from recjax.types import Bag, Features, Key, Model, Params


def init(key: Key, model: Model) -> Params:
    """New parameters."""
    table_key, query_key, item_key = jax.random.split(key, 3)
    return Params(tables.init(table_key, model.specs), model.query.init(query_key), model.item.init(item_key))


def reads(model: Model, queries: Features, items: Features | None) -> dict[str, Int[Array, " R"]]:
    """The row ids that the towers read of each table for these features, repeats included.

    Args:
        items: None: the query tower's ids alone.
    """
    found: dict[str, list[Array]] = {}
    for tower, features in ((model.query, queries), (model.item, items)):
        for name, tree in (tower.ids(features) if features is not None else {}).items():
            leaves = jax.tree.leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Bag))
            found.setdefault(name, []).extend(tables.reads(model.specs[name], leaf) for leaf in leaves)
    return {name: jnp.concatenate(parts) for name, parts in found.items()}


def queries(key: Key | None, model: Model, params: Params, features: Features) -> Float[Array, "B D"]:
    """ψ(x). With key = None nothing is dropped."""
    rows = tables.lookup(model.specs, params.tables, model.query.ids(features))
    return model.query.apply(key, params.query, rows, features)


def items(key: Key | None, model: Model, params: Params, features: Features) -> Float[Array, "C D"]:
    """φ(item). With key = None nothing is dropped."""
    rows = tables.lookup(model.specs, params.tables, model.item.ids(features))
    return model.item.apply(key, params.item, rows, features)


def corpus(model: Model, params: Params, features: Features, block: int = 8192) -> Float[Array, "N D"]:
    """φ of every item, in blocks: memory beyond the result is O(block)."""
    count = jax.tree.leaves(features)[0].shape[0]
    size = min(block, count)
    blocks = -(-count // size)

    def one(index):
        # The ids past the end read the last item again; their embeddings are cut off below.
        ids = jnp.minimum(index * size + jnp.arange(size), count - 1)
        return items(None, model, params, jax.tree.map(lambda leaf: leaf[ids], features))

    found = jax.lax.map(one, jnp.arange(blocks))
    return found.reshape(blocks * size, -1)[:count]
