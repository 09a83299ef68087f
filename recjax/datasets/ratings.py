"""From rows of a file to interactions: which ratings count, and what was left out."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from recjax import configs
from recjax.datasets.arrow import Text
from recjax.errors import InputError
from recjax.interactions import encode, order, take, take_out
from recjax.types import Interactions


class Rows(NamedTuple):
    """What the rows of a file say, in its order."""

    query: Text
    item: Text
    time: np.ndarray | None  # [E] int64 seconds
    rating: np.ndarray | None = None  # [E]
    weight: np.ndarray | None = None  # [E] float32; None: each weighs 1


class Found(NamedTuple):
    """Interactions by ids, with what `Dataset` keeps of them."""

    interactions: Interactions
    impressions: Interactions | None
    query: np.ndarray  # the vocabulary
    item: np.ndarray
    notes: dict[str, int]


def count(settings: configs.Data, rows: Rows, file: str) -> Found:
    """Ratings below data.drop_below are left out, those below data.least_rating are impressions.

    Raises:
        InputError: a threshold without ratings, or above all of them.
    """
    query, item, time, rating, weight = rows
    notes = {}
    del rows  # each column is let go as soon as it is done with: peak memory is the columns' and one more
    for name, least in (("drop_below", settings.drop_below), ("least_rating", settings.least_rating)):
        if least and (rating is None or not np.any(rating >= least)):
            most = "the file has no ratings" if rating is None else f"the highest rating is {np.max(rating):g}"
            raise InputError(
                f"data.{name} is {least:g} and {most} ({file}); type --config.data.{name}=0"
                + " or name a column in --config.data.columns.rating" * (rating is None)
            )
    if settings.drop_below and rating is not None:
        kept = np.flatnonzero(rating >= settings.drop_below)
        notes["below"] = len(rating) - len(kept)
        query, item = (_left(one, kept) for one in (query, item))
        rating = rating[kept]
        weight, time = (None if one is None else one[kept] for one in (weight, time))
    found: list[Any] = [query.ids, item.ids, weight, time]
    vocabularies, shown = (query.vocabulary, item.vocabulary), None
    del query, item, weight, time
    if settings.least_rating and rating is not None:
        liked = rating >= settings.least_rating
        low = take(Interactions(*found), ~liked)
        found = list(take_out(found, liked))
        if not settings.repeats:  # what was refused once and liked another time is an interaction
            size = len(vocabularies[1])
            low = take(low, ~np.isin(_pairs(low.query, low.item, size), _pairs(found[0], found[1], size)))
        shown = _weighed(take(low, order(low.query, low.item, low.time, repeats=settings.repeats)))
    del rating
    total, which = len(found[0]), order(found[0], found[1], found[3], repeats=settings.repeats)
    notes["duplicates"] = total - len(which)
    return Found(_weighed(take_out(found, which)), shown, *vocabularies, notes)


def _pairs(query: np.ndarray, item: np.ndarray, items: int) -> np.ndarray:
    return query.astype(np.int64) * items + item


def _weighed(found: Interactions) -> Interactions:
    return found if found.weight is not None else found._replace(weight=np.ones(len(found.query), np.float32))


def joined(parts: list[Rows]) -> Rows:
    """The rows of several files, one after another; a later one's new ids make the vocabularies grow.

    >>> one = Rows(Text(np.array([0, 1]), np.array(["a", "c"])), Text(np.array([0, 0]), np.array([7])), None)
    >>> more = Rows(Text(np.array([0]), np.array(["b"])), Text(np.array([0]), np.array([5])), None)
    >>> joined([one, more]).query.vocabulary.tolist(), joined([one, more]).query.ids.tolist()
    (['a', 'b', 'c'], [0, 2, 1])
    """
    if len(parts) == 1:
        return parts[0]

    def one(read: Callable[[Rows], np.ndarray | None]) -> np.ndarray | None:
        values = [value for value in map(read, parts) if value is not None]
        return np.concatenate(values) if values else None

    return Rows(
        _grown([part.query for part in parts]),
        _grown([part.item for part in parts]),
        one(lambda part: part.time),
        one(lambda part: part.rating),
        one(lambda part: part.weight),
    )


def _grown(texts: list[Text]) -> Text:
    if len({text.vocabulary.dtype.kind for text in texts}) > 1:  # numbers in one file and names in another
        texts = [Text(text.ids, text.vocabulary.astype(str)) for text in texts]
    vocabulary = np.unique(np.concatenate([text.vocabulary for text in texts]))
    places = [np.searchsorted(vocabulary, text.vocabulary).astype(np.int32)[text.ids] for text in texts]
    return Text(np.concatenate(places), vocabulary)


def _left(text: Text, kept: np.ndarray) -> Text:
    """Ids among those that are left."""
    ids, left = encode(text.ids[kept])
    return Text(ids, text.vocabulary[left])
