"""Who is judged: what embeds queries and items; a model does, and a baseline does."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array

from recjax import embed, retrieval, scores
from recjax.types import Data, Features, Model


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
