"""Interactions in their one order, (query, time, row in the source), and raw values turned into ids."""

import hashlib
import itertools
import re
from collections.abc import Sequence

import numpy as np
import scipy.sparse
from jaxtyping import Int

from recjax.errors import InputError
from recjax.types import Bag, Dataset, Interactions

BLOCK = 2**20  # interactions that are sorted at once


def arrange(
    query: np.ndarray, item: np.ndarray, weight: np.ndarray, time: np.ndarray | None, *, repeats: bool
) -> Interactions:
    """Sorts by (query, time, row). Without `repeats` a query keeps the first of its interactions with an item.

    >>> query, item = np.array([1, 0, 1, 1]), np.array([5, 5, 4, 5])
    >>> arrange(query, item, np.ones(4), np.array([3, 9, 2, 1]), repeats=False).item.tolist()
    [5, 5, 4]
    """
    return take(Interactions(query, item, weight, time), order(query, item, time, repeats=repeats))


def order(query: np.ndarray, item: np.ndarray, time: np.ndarray | None, *, repeats: bool) -> Int[np.ndarray, " E"]:
    """The rows that `arrange` takes, in their order; in 10 bytes a row, and what some queries at a time need.

    >>> order(np.array([1, 0, 1, 1]), np.array([5, 5, 4, 5]), np.array([3, 9, 2, 1]), repeats=False).tolist()
    [1, 3, 2]
    """
    rows = _grouped(query)
    unsorted = time is not None and not np.all(time[1:] >= time[:-1])
    if repeats and not unsorted:
        return rows
    size, items = 0, int(np.max(item, initial=0)) + 1
    for start, stop in itertools.pairwise(_edges(query)):
        some = rows[start:stop]
        if time is not None and unsorted:
            some = some[np.lexsort((time[some], query[some]))]
        if not repeats:
            _, first = np.unique(query[some].astype(np.int64) * items + item[some], return_index=True)
            some = some[np.sort(first)]
        rows[size : size + len(some)] = some  # what is overwritten was read
        size += len(some)
    return rows[:size]


def _grouped(query: np.ndarray) -> Int[np.ndarray, " E"]:
    """The rows query by query, by counting: in a third of the time of a stable sort of ten million."""
    count = len(query)
    if not count or np.min(query) < 0:  # an id below 0 is refused later, by `check`
        return np.argsort(query, kind="stable")
    # A sparse matrix by rows holds each row's entries in their order, and is made in two passes.
    entries = np.ones(count, np.int8), (query, np.arange(count, dtype=np.int32 if count < 2**31 else np.int64))
    return scipy.sparse.coo_array(entries, shape=(int(np.max(query)) + 1, count)).tocsr().indices


def _edges(query: np.ndarray) -> list[int]:
    """Where, among rows grouped by query, blocks of whole queries begin: of about `BLOCK` rows, or one query's."""
    _, count = np.unique(query, return_counts=True)
    end = np.cumsum(count)
    return [0, *np.unique(end[np.searchsorted(end // BLOCK, np.unique(end // BLOCK), side="right") - 1]).tolist()]


def take(interactions: Interactions, which: np.ndarray) -> Interactions:
    """The interactions that a mask or an index names."""
    return Interactions(*(None if part is None else part[which] for part in interactions))


def take_out(columns: list[np.ndarray | None], which: np.ndarray) -> Interactions:
    """`take` of columns that nobody else needs: each is let go before the next is taken, and the list is empty then."""
    found = []
    while columns:
        column = columns.pop(0)
        found.append(None if column is None else column[which])
        del column
    return Interactions(*found)


def met(dataset: Dataset) -> scipy.sparse.csr_array:
    """[M N]: 1 where a query met an item, however often."""
    shape = len(dataset.vocabularies["query"]), len(dataset.vocabularies["item"])
    query, item, _, _ = dataset.interactions
    found = scipy.sparse.csr_array((np.ones(len(item), np.float32), (query, item)), shape=shape)
    found.data[:] = 1.0  # repetitions were added up
    return found


def encode(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids in the sorted order of the raw values, and the vocabulary: `vocabulary[ids] == raw`."""
    vocabulary, ids = np.unique(raw, return_inverse=True)
    return ids.astype(np.int32), vocabulary


def pad(lists: Sequence[Sequence[int] | np.ndarray]) -> Bag:
    """Unequal lists as a bag."""
    length = max(1, max(map(len, lists), default=1))
    ids, where = np.zeros((len(lists), length), np.int32), np.zeros((len(lists), length), bool)
    for row, one in enumerate(lists):
        ids[row, : len(one)], where[row, : len(one)] = one, True
    return Bag(ids, where)


def words(text: str) -> list[str]:
    """The different words of a text in the order of their first places, in small letters.

    >>> words("Red, red rose's")
    ['red', "rose's"]
    """
    return list(dict.fromkeys(re.findall(r"[\w']+", text.lower())))


def encode_words(texts: Sequence[str]) -> tuple[Bag, np.ndarray]:
    """The words of each text as a bag of ids, and their vocabulary, sorted.

    >>> bag, vocabulary = encode_words(["red rose", "rose"])
    >>> vocabulary[bag.ids].tolist(), bag.where.tolist()
    ([['red', 'rose'], ['rose', 'red']], [[True, True], [True, False]])
    """
    lists = [words(text) for text in texts]
    vocabulary = sorted(set().union(*lists))
    number = {word: index for index, word in enumerate(vocabulary)}
    return pad([[number[word] for word in one] for one in lists]), np.array(vocabulary, str)


def most_frequent(ids: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """[count]: the value [E] (0 or more) that comes with each id [E] most often, of equally frequent ones the smallest.

    An id that does not occur has -1.

    >>> most_frequent(np.array([0, 0, 0, 2, 2]), np.array([5, 7, 7, 9, 8]), 3).tolist()
    [7, -1, 8]
    """
    size = int(np.max(values, initial=0)) + 1
    pairs, times = np.unique(ids.astype(np.int64) * size + values, return_counts=True)
    owner, value = np.divmod(pairs, size)
    order = np.lexsort((-value, times, owner))  # the last one of an owner is the one
    found = np.full(count, -1, values.dtype)
    found[owner[order]] = value[order]
    return found


def check(dataset: Dataset) -> None:
    """Refuses interactions that no step could use.

    Raises:
        InputError: none at all, rows out of order, ids without a feature row, weights that are not above 0, or times
            that span 68 years or more.
    """
    query, item, weight, time = dataset.interactions
    if len(query) == 0:
        raise InputError("the data set has no interactions; wanted at least one")
    shown = dataset.impressions
    if shown is not None and (
        np.any(np.diff(shown.query) < 0) or not np.all(np.isin(shown.item, dataset.corpus["item"]))
    ):
        raise InputError("impressions are out of order, or of unknown items; wanted them sorted by query: see arrange")
    back = np.diff(query) < 0
    if time is not None:
        back |= (np.diff(query) == 0) & (np.diff(time) < 0)
    if back.any():
        row = np.argmax(back) + 1
        raise InputError(f"interaction {row} is out of order; wanted rows sorted by (query, time): see arrange")
    for name, ids, features in (("query", query, dataset.queries), ("item", item, dataset.corpus)):
        count = len(features[name])
        bad = np.flatnonzero((ids < 0) | (ids >= count))
        if len(bad):
            raise InputError(f"interaction {bad[0]} has {name} {ids[bad[0]]}; wanted an id from 0 to {count - 1}")
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight > 0)))
    if len(bad):
        raise InputError(f"interaction {bad[0]} has weight {weight[bad[0]]}; wanted finite weights above 0")
    if time is not None and int(np.max(time)) - int(np.min(time)) >= 2**31:
        span = int(np.max(time)) - int(np.min(time))
        raise InputError(f"times span {span} seconds; wanted seconds over less than 68 years")


def fingerprint(dataset: Dataset) -> str:
    """The first 16 hex digits of SHA-256 over interactions and features: equal data, equal fingerprint."""
    digest = hashlib.sha256()
    parts = list(zip(Interactions._fields, dataset.interactions, strict=True))
    for side, features in (("query", dataset.queries), ("item", dataset.corpus)):
        parts += [(f"{side} {name}", part) for name in sorted(features) for part in _arrays(features[name])]
    if dataset.impressions is not None:
        parts += [(f"shown {name}", part) for name, part in dataset.impressions._asdict().items()]
    for name, part in parts:
        if part is not None:
            array = np.ascontiguousarray(part)
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _arrays(feature) -> tuple:
    return tuple(feature) if isinstance(feature, Bag) else (feature,)
