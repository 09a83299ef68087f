"""From interactions to what a tower sees: data on the device, features at a moment, and batches of examples.

Interactions are sorted by (query, time, row), so the history before an interaction is a window of the same array:
nothing is stored per example. Where times are unknown a query's interactions form a ring, and the history of one is
those around it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from recjax.interactions import check
from recjax.types import Bag, Batch, Data, Dataset, Features, Interactions, Key, Lists

DAY = 86_400.0  # seconds


def prepare(dataset: Dataset, positives: int = 1) -> Data:
    """Puts a data set on the device.

    Args:
        positives: P, the positives of an example (see `draw`), which decide `Data.frequency`.

    Raises:
        InputError: interactions that no step could use; see `interactions.check`.
    """
    check(dataset)
    query, item, weight, time = dataset.interactions
    query, item, weight = query.astype(np.int32), item.astype(np.int32), weight.astype(np.float32)
    offsets = np.searchsorted(query, np.arange(len(dataset.queries["query"]) + 1)).astype(np.int32)
    time = None if time is None else (time - np.min(time)).astype(np.int32)
    windows = np.minimum(_since_same(query, item, offsets, ring=time is None), positives)
    frequency = np.bincount(item, windows, minlength=len(dataset.corpus["item"])) / len(query)
    queries, corpus = jax.tree.map(jnp.asarray, (dataset.queries, dataset.corpus))
    return Data(
        Interactions(*(None if part is None else jnp.asarray(part) for part in (query, item, weight, time))),
        jnp.asarray(offsets),
        jnp.asarray(0 if time is None else np.max(time), jnp.int32),
        queries,
        corpus,
        jnp.asarray(frequency, jnp.float32),
        None if dataset.impressions is None else _lists(dataset.impressions, len(offsets)),
    )


def _lists(shown: Interactions, bounds: int) -> Lists:
    offsets = np.searchsorted(shown.query, np.arange(bounds)).astype(np.int32)
    return Lists(jnp.asarray(shown.item, jnp.int32), jnp.asarray(offsets))


def _since_same(query: np.ndarray, item: np.ndarray, offsets: np.ndarray, *, ring: bool) -> np.ndarray:
    """[E]: how many examples of unlimited P have this interaction as their first one with its item.

    Those that start after the query's previous interaction with the item: on a ring the one before comes around.
    """
    order = np.lexsort((item, query))
    same = np.concatenate([[False], (query[order][1:] == query[order][:-1]) & (item[order][1:] == item[order][:-1])])
    since = np.empty(len(query), np.int64)
    since[order] = np.where(same, np.diff(order, prepend=0), 0)
    first = order[~same]
    since[first] = first - offsets[query[first]] + 1
    if ring:
        last = order[np.concatenate([~same[1:], [True]])]
        since[first] = first - last + offsets[query[first] + 1] - offsets[query[first]]
    return since


def features(
    data: Data,
    query: Int[Array, " B"],
    position: Int[Array, " B"],
    length: int,
    *,
    now: Int[Array, " B"] | None = None,
    age: Float[Array, " B"] | float = 0.0,
    taken: Int[Array, " B"] | int = 0,
) -> Features:
    """What is known of queries just before `position` in the interactions.

    Args:
        length: L, of the history; it holds the latest items first.
        now: the moment, in the seconds of `data`; None where times are unknown.
        age: of the example, as a share of the data's time span: 0 when serving (Covington et al. 2016, section 3.3).
        taken: on a ring (times unknown), how many interactions from `position` on are the example's own positives.

    Returns:
        "query" ids, the "history" bag, for each side feature of ids of the items the bag of it over the history, as
        "history_NAME", each side feature of the query, and where times are known "since_last"
        (log(1 + days) since the last known interaction; 0 without one) and "example_age".
    """
    start, stop = data.offsets[query][:, None], data.offsets[query + 1][:, None]
    back = jnp.arange(length)
    index = position[:, None] - 1 - back
    if data.interactions.time is None:
        count = stop - start
        index = start + (index - start) % jnp.maximum(count, 1)
        where = back < count - jnp.asarray(taken).reshape(-1, 1)
    else:
        where = index >= start
    index = jnp.where(where, index, 0)
    found = {name: jax.tree.map(lambda leaf: leaf[query], value) for name, value in data.queries.items()}
    found |= {"query": query, "history": Bag(jnp.where(where, data.interactions.item[index], 0), where)}
    found |= {f"history_{name}": bag for name, bag in _over(found["history"], data.corpus).items()}
    if now is not None and data.interactions.time is not None:
        last = data.interactions.time[jnp.maximum(position - 1, 0)]
        days = jnp.where(position > start[:, 0], now - last, 0) / DAY
        found["since_last"] = jnp.log1p(jnp.maximum(days, 0.0))
        found["example_age"] = jnp.broadcast_to(jnp.asarray(age, jnp.float32), query.shape)
    return found


def _over(history: Bag, corpus: Features) -> dict[str, Bag]:
    """The items' side features over a history, all in one bag [B L], or [B L · L'] where they are bags themselves."""
    found = {}
    for name, value in corpus.items():
        if isinstance(value, Bag):
            ids, where = value.ids[history.ids], value.where[history.ids] & history.where[..., None]
            found[name] = Bag(*(part.reshape(*history.ids.shape[:-1], -1) for part in (ids, where)))
        elif name != "item" and jnp.issubdtype(value.dtype, jnp.integer):
            found[name] = Bag(value[history.ids], history.where)
    return found


def draw(key: Key, data: Data, size: int, *, positives: int, length: int) -> Batch:
    """`size` examples: training interactions drawn uniformly, with replacement.

    An example's positives are the interaction and the query's next ones, P at most, with equal probabilities
    (a repeated item gets the sum); its history is strictly before them. On a ring (times unknown) the history is
    the query's other interactions.
    """
    first = jax.random.randint(key, (size,), 0, data.interactions.item.shape[0])
    query = data.interactions.query[first]
    start, stop = data.offsets[query], data.offsets[query + 1]
    ahead = jnp.arange(positives)
    if data.interactions.time is None:
        held = jnp.minimum(stop - start, positives)
        index = start[:, None] + (first - start)[:, None] + ahead
        index = jnp.where(index < stop[:, None], index, index - (stop - start)[:, None])
        now, age = None, 0.0
    else:
        held = jnp.minimum(stop - first, positives)
        index = first[:, None] + ahead
        now = data.interactions.time[first]
        age = (data.span - now) / jnp.maximum(data.span, 1)
    exists = ahead < held[:, None]
    positive = data.interactions.item[jnp.where(exists, index, first[:, None])]
    target = jnp.where(exists, 1.0 / held[:, None], 0.0)
    if positives > 1:
        target = _merge(positive, target)
    known = features(data, query, first, length, now=now, age=age, taken=held)
    return Batch(known, positive, target, data.interactions.weight[first])


def _merge(positive: Int[Array, "B P"], target: Float[Array, "B P"]) -> Float[Array, "B P"]:
    """Moves the probability of a repeated item to its first place, so that a distribution names an item once."""
    same = positive[:, :, None] == positive[:, None, :]
    first = jnp.argmax(same & (target > 0)[:, None, :], axis=-1) == jnp.arange(positive.shape[1])
    return jnp.where(first & (target > 0), jnp.einsum("bpq,bq->bp", same.astype(target.dtype), target), 0.0)
