"""From rows of a file to interactions: which ratings count, and what was left out."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from recjax import configs
from recjax.datasets.arrow import Text
from recjax.errors import InputError
from recjax.interactions import arrange, encode, take
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
    query, item, rating, notes = rows.query, rows.item, rows.rating, {}
    for name, least in (("drop_below", settings.drop_below), ("least_rating", settings.least_rating)):
        if least and (rating is None or not np.any(rating >= least)):
            most = "the file has no ratings" if rating is None else f"the highest rating is {np.max(rating):g}"
            raise InputError(
                f"data.{name} is {least:g} and {most} ({file}); type --config.data.{name}=0"
                + " or name a column in --config.data.columns.rating" * (rating is None)
            )
    time, weight = rows.time, np.ones(len(query.ids), np.float32) if rows.weight is None else rows.weight
    if settings.drop_below and rating is not None:
        kept = np.flatnonzero(rating >= settings.drop_below)
        notes["below"] = len(rating) - len(kept)
        query, item = (_left(one, kept) for one in (query, item))
        rating, weight, time = rating[kept], weight[kept], None if time is None else time[kept]
    found = Interactions(query.ids, item.ids, weight, time)
    shown = None
    if settings.least_rating and rating is not None:
        liked = rating >= settings.least_rating
        shown, found = take(found, ~liked), take(found, liked)
        if not settings.repeats:  # what was refused once and liked another time is an interaction
            pairs = [one.query.astype(np.int64) * len(item.vocabulary) + one.item for one in (shown, found)]
            shown = take(shown, ~np.isin(*pairs))
        shown = arrange(*shown, repeats=settings.repeats)
    arranged = arrange(*found, repeats=settings.repeats)
    notes["duplicates"] = len(found.query) - len(arranged.query)
    return Found(arranged, shown, query.vocabulary, item.vocabulary, notes)


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
