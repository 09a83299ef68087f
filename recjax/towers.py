"""Towers: from features to embeddings. A table alone, or a Flax net over concatenated features."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from recjax import linalg, tables
from recjax.types import Bag, Features, Key, Tower


@dataclasses.dataclass(frozen=True)
class Feature:
    """How a tower reads one feature: the rows of a table, or (table = "") the dense value itself."""

    name: str
    table: str = ""


class MLP(nnx.Module):
    """Dense layers with an activation between them, the last one linear; dropout before each layer."""

    def __init__(
        self, sizes: Sequence[int], activation: Callable[[Array], Array], dropout: float, normalization: str, *, rngs
    ):
        self.layers = nnx.List([nnx.Linear(i, o, rngs=rngs) for i, o in itertools.pairwise(sizes)])
        self.dropout = nnx.Dropout(dropout)
        self.norm = nnx.LayerNorm(sizes[-1], rngs=rngs) if normalization == "layer" else None
        self.activation = activation
        self.unit = normalization == "l2"

    def __call__(self, x: Float[Array, "*B I"], rngs: nnx.Rngs | None = None) -> Float[Array, "*B D"]:
        for depth, layer in enumerate(self.layers):
            x = self.activation(x) if depth else x
            x = layer(self.dropout(x, deterministic=rngs is None, rngs=rngs))
        if self.norm is not None:
            x = self.norm(x)
        return linalg.unit(x) if self.unit else x


def functional(build: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Callable, Callable]:
    """A Flax module as plain functions: init(key) -> params, apply(key, params, x) -> y. Nothing else here is NNX."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))

    def init(key: Key):
        return nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key))))

    def apply(key: Key | None, params, x: Array) -> Array:
        state = jax.tree.map(lambda leaf: leaf, shapes)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)(x, rngs=None if key is None else nnx.Rngs(key))

    return init, apply


def embedding(feature: Feature) -> Tower:
    """The row of one id, and nothing else."""

    def ids(features: Features):
        return {feature.table: {feature.name: features[feature.name]}}

    def apply(key, params, rows, features: Features):
        return rows[feature.table][feature.name]

    return Tower(lambda key: {}, ids, apply)


def net(
    features: Sequence[Feature],
    specs: Mapping[str, tables.Table],
    *,
    sizes: Sequence[int],
    combine: str = "mean",
    activation: Callable[[Array], Array] = jax.nn.relu,
    dropout: float = 0.0,
    normalization: str = "none",
) -> Tower:
    """A multilayer perceptron over the concatenation of all features.

    Args:
        sizes: of the hidden layers and, last, D.
        combine: how a bag of rows becomes one (see `tables.combine`).
        normalization: of the output: "none", "l2" (unit length) or "layer".
    """
    width = sum(specs[feature.table].dimension if feature.table else 1 for feature in features)
    net_init, net_apply = functional(lambda rngs: MLP((width, *sizes), activation, dropout, normalization, rngs=rngs))

    def ids(values: Features):
        found: dict[str, dict] = {}
        for feature in features:
            if feature.table:
                found.setdefault(feature.table, {})[feature.name] = values[feature.name]
        return found

    def apply(key: Key | None, params, rows, values: Features):
        parts = []
        for feature in features:
            value = values[feature.name]
            if not feature.table:
                parts.append(value[..., None])
                continue
            row = rows[feature.table][feature.name]
            parts.append(tables.combine(row, value.where, combine) if isinstance(value, Bag) else row)
        return net_apply(key, params, jnp.concatenate(parts, axis=-1))

    return Tower(net_init, ids, apply)
