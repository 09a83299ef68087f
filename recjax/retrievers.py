"""Who is judged: a trained model, or a baseline."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from recjax import embed, linalg, retrieval, scores
from recjax.types import Data, Features, Key, Model


class Retriever(NamedTuple):
    """Anything that embeds queries and items: `queries(params, features) -> [B D]`, `items(params, data) -> [N D]`.

    `ready(params)` is done once a ranking, and gives what the two get for params.
    """

    queries: Callable[[Any, Features], Array]
    items: Callable[[Any, Data], Array]
    score: Callable[[Array, Array], Array] = scores.dot
    ready: Callable[[Any], Any] = lambda params: params


def model_retriever(model: Model, score: Callable[[Array, Array], Array]) -> Retriever:
    return Retriever(
        lambda params, features: embed.queries(None, model, params, features),
        lambda params, data: embed.corpus(model, params, data.corpus, retrieval.BLOCK),
        score,
    )


def popularity() -> Retriever:
    """The baseline that ranks every query's items by their number of known interactions."""
    return Retriever(
        lambda params, features: jnp.ones((features["query"].shape[0], 1)),
        lambda params, data: data.frequency[:, None],
    )


def random() -> Retriever:
    """The baseline of independent random embeddings; its params are a key."""

    def queries(key: Key, features: Features):
        return jax.vmap(lambda one: jax.random.normal(jax.random.fold_in(key, one), (64,)))(features["query"])

    def items(key: Key, data: Data):
        # Of equal length: a long one would be retrieved for too many.
        return linalg.unit(jax.random.normal(key, (data.frequency.shape[0], 64)))

    return Retriever(queries, items)
