"""What training or a history tells of the interactions that are held out: named, and refused.

Of every split: parts do not overlap, no label is in its own history or among what its query was shown and refused,
and what trains is known. What depends on the split, the order in time and that queries or items are new, is in its
`types.Promise`.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from recjax.errors import InputError
from recjax.interactions import take
from recjax.types import Dataset, HeldOut, Interactions, Split

SHOWN = 3  # examples


def check(dataset: Dataset, split: Split, name: str) -> None:
    """Refuses a split that leaks.

    Args:
        dataset: what was split.
        name: of the split, for the message.

    Raises:
        InputError: what leaks, how often, and the first of them by their raw ids.
    """
    for leak, rows in _leaks(dataset, split):
        if len(rows.query):
            examples = [
                f"query {dataset.vocabularies['query'][query]} item {dataset.vocabularies['item'][item]}"
                for query, item in zip(rows.query[:SHOWN].tolist(), rows.item[:SHOWN].tolist(), strict=True)
            ]
            raise InputError(
                f"data.split={name!r} leaks: {leak} ({len(rows.query)}: {', '.join(examples)}"
                + ", …" * (len(rows.query) > SHOWN)
                + "); "
                + "type for example --config.data.split=last_out, or " * (name != "last_out")
                + "mend the split"
            )


def _leaks(dataset: Dataset, split: Split) -> Iterator[tuple[str, Interactions]]:
    """Each kind of leak, with the held-out interactions that leaked; most often none."""
    held = {name: part for name, part in (("validation", split.validation), ("test", split.test)) if part}
    pairs = _pairs(dataset)
    train = pairs.counts(split.train.interactions)
    relevant = {name: pairs.counts(part.relevant) for name, part in held.items()}
    for name, part in held.items():
        over = relevant[name] + train > pairs.allowed
        yield f"interactions of {name} are in training too", pairs.those(part.relevant, over)
    if len(held) == 2:
        over = relevant["validation"] + relevant["test"] > pairs.allowed
        yield "interactions of test are in validation too", pairs.those(split.test.relevant, over)
    for name, part in held.items():
        # At validation, test is still to come.
        later = [one for one in held if name in (one, "validation")]
        known = pairs.counts(part.known.interactions)
        for other in later:
            over = known + relevant[other] > pairs.allowed
            what = "their own history" if other == name else f"what is known at {name}"
            yield f"interactions of {other} are in {what}", pairs.those(held[other].relevant, over)
        strange = pairs.those(split.train.interactions, train > known)
        yield f"training has interactions that are not known at {name}", strange
        yield from _in_order(split, name, part)
        if part.known.impressions is not None and not dataset.repeats:
            shown = pairs.counts(part.known.impressions) > 0
            yield f"interactions of {name} were shown in vain before", pairs.those(part.relevant, shown)
    yield from _cold(split, held)


def _in_order(split: Split, name: str, part: HeldOut) -> Iterator[tuple[str, Interactions]]:
    """What is known and yet not before what is relevant, by the split's promise."""
    relevant = part.relevant
    if relevant.time is None or not len(relevant.query):
        return
    for where, known in (("training", split.train.interactions), (f"what is known at {name}", part.known.interactions)):
        if known.time is None or not len(known.query):
            continue
        if split.promise.order == "global":
            late = relevant.time <= np.max(known.time)
            yield (
                f"{where} goes on after interactions of {name} (which promises one moment for all)",
                take(relevant, late),
            )
        elif split.promise.order == "query":
            last = np.full(len(part.known.vocabularies["query"]), np.iinfo(np.int64).min)
            np.maximum.at(last, known.query, known.time)
            late = relevant.time < last[relevant.query]
            yield f"{where} holds what the query did after interactions of {name}", take(relevant, late)


def _cold(split: Split, held: Mapping[str, HeldOut]) -> Iterator[tuple[str, Interactions]]:
    side = split.promise.cold
    if side:
        train = {"met": split.train.interactions, "been shown in vain": split.train.impressions}
        for name, part in held.items():
            for how, one in train.items():
                if one is not None:
                    known = np.isin(getattr(part.relevant, side), getattr(one, side))
                    yield f"training has {how} what {name} promises as new, the {side} of", take(part.relevant, known)


class _Pairs(NamedTuple):
    """The data set's pairs of a query and an item; a pair that is none of them has the place behind the last."""

    keys: np.ndarray  # [U], sorted
    allowed: np.ndarray  # [U + 1]: how often each may occur
    items: int

    def place(self, one: Interactions) -> np.ndarray:
        """[E]: where each interaction's pair stands."""
        key = _key(one, self.items)
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where(self.keys[place] == key, place, len(self.keys))

    def counts(self, one: Interactions) -> np.ndarray:
        """[U + 1]: how often each pair occurs."""
        return np.bincount(self.place(one), minlength=len(self.allowed))

    def those(self, one: Interactions, bad: np.ndarray) -> Interactions:
        """The interactions whose pairs are bad [U + 1]."""
        return take(one, bad[self.place(one)] if bad.any() else np.empty(0, np.int64))


def _pairs(dataset: Dataset) -> _Pairs:
    items = len(dataset.vocabularies["item"])
    keys, counts = np.unique(_key(dataset.interactions, items), return_counts=True)
    return _Pairs(keys, np.append(counts if dataset.repeats else np.ones_like(counts), 0), items)


def _key(one: Interactions, items: int) -> np.ndarray:
    return one.query.astype(np.int64) * items + one.item
