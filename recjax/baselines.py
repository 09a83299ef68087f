"""What a model is judged beside. One signature: (settings, known) -> Baseline; the config names a run's."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from recjax import configs, fields, linalg, similarity
from recjax.errors import InputError
from recjax.retrievers import Retriever
from recjax.types import Data, Dataset, Features, Key


class Baseline(NamedTuple):
    """A retriever, and its params by the run's key."""

    retriever: Retriever
    params: Callable[[Key], Any]


def resolve(settings: configs.Baselines) -> dict[str, Callable[[configs.Baselines, Dataset], Baseline]]:
    """The members that the settings name.

    Raises:
        InputError: there is none of that name, one is named twice, or a setting that none of them reads.
    """
    names = settings.names
    if len(set(names)) < len(names):
        raise InputError(f"baselines.names is {names}; wanted each once")
    found = {name: fields.resolve("baseline", name, _MEMBERS) for name in names}
    for reader, read in (("item_knn", ["neighbors", "shrinkage", "discount"]), ("ease", ["regularization"])):
        if set(names) <= set(_MEMBERS) - {reader}:
            reason = f"baselines.names={','.join(names)}"
            fields.refuse_unread(settings, configs.Baselines(), read, reason, "baselines.")
    return found


def check(settings: configs.Baselines, items: int) -> None:
    """Refuses, before anything is trained, what a corpus of N items does not allow.

    Raises:
        InputError: as `resolve`; or a member that keeps a number a pair of items, and there are more than 50,000.
    """
    if matrices(settings):
        similarity.require(items)


def matrices(settings: configs.Baselines) -> int:
    """How many of the members keep a matrix [N N]."""
    return sum(make in (item_knn, ease) for make in resolve(settings).values())


def popularity(settings: configs.Baselines, known: Dataset) -> Baseline:
    """Every query's items by their number of known interactions."""
    return Baseline(_POPULARITY, lambda key: ())


def random(settings: configs.Baselines, known: Dataset) -> Baseline:
    """Independent random embeddings."""
    return Baseline(_RANDOM, lambda key: key)


def item_knn(settings: configs.Baselines, known: Dataset) -> Baseline:
    """The sum over what a query has met of an item's cosine to it, of the `neighbors` nearest; no training.

    The cosine has `shrinkage` and `discount`: see `similarity.nearest`.

    Raises:
        InputError: more than 50,000 items.

    Source: Sarwar et al. 2001; Deshpande and Karypis 2004.
    """
    return _item_based(similarity.nearest(known, settings.neighbors, settings.shrinkage, settings.discount), known)


def ease(settings: configs.Baselines, known: Dataset) -> Baseline:
    """The linear autoencoder in closed form, with λ = `regularization`.

    Raises:
        InputError: more than 50,000 items, or a λ that leaves the system singular.

    Source: Steck 2019.
    """
    return _item_based(similarity.ease(known, settings.regularization), known)


def _item_based(weights: np.ndarray, known: Dataset) -> Baseline:
    """A query's embedding has a dimension an item: [N], the sums of what it has met; an item's is where to look."""
    pair = np.unique(known.interactions.query.astype(np.int64) * len(weights) + known.interactions.item)
    query, item = np.divmod(pair, len(weights))  # a repetition counts once
    offsets = np.searchsorted(query, np.arange(len(known.vocabularies["query"]) + 1))
    params = tuple(map(jnp.asarray, (weights, item.astype(np.int32), offsets.astype(np.int32))))
    return Baseline(_ITEM_BASED, lambda key: params)


def _popular(params: Any, data: Data) -> Float[Array, "N 1"]:
    return data.frequency[:, None]


def _draw_queries(key: Key, features: Features) -> Float[Array, "B D"]:
    return jax.vmap(lambda one: jax.random.normal(jax.random.fold_in(key, one), (64,)))(features["query"])


def _draw_items(key: Key, data: Data) -> Float[Array, "N D"]:
    # Of equal length: a long one would be retrieved for too many.
    return linalg.unit(jax.random.normal(key, (data.frequency.shape[0], 64)))


def _sums(params: tuple[Array, Array, Array], features: Features) -> Float[Array, "B N"]:
    """A query at a time, row after row: the work is that of the interactions, not of N² products."""
    weights, item, offsets = params

    def one(query: Int[Array, ""]) -> Float[Array, " N"]:
        begin, end = offsets[query], offsets[query + 1]
        return jax.lax.fori_loop(begin, end, lambda at, total: total + weights[item[at]], jnp.zeros(len(weights)))

    return jax.lax.map(one, features["query"])


def _ids(params: Any, data: Data) -> Int[Array, "N 1"]:
    return jnp.arange(data.frequency.shape[0])[:, None]


def _look(queries: Float[Array, "B N"], items: Int[Array, "C 1"] | Int[Array, "B C 1"]) -> Float[Array, "B C"]:
    if items.ndim == 2:
        return queries[:, items[:, 0]]
    return jnp.take_along_axis(queries, items[..., 0], axis=1)


FIXED = (popularity, item_knn, ease)  # those that do not depend on the key
_MEMBERS = {one.__name__: one for one in (*FIXED, random)}
# One of each, so that the trials of a sweep share its compiled ranking.
_POPULARITY = Retriever(lambda params, features: jnp.ones((features["query"].shape[0], 1)), _popular)
_RANDOM = Retriever(_draw_queries, _draw_items)
_ITEM_BASED = Retriever(_sums, _ids, _look)
