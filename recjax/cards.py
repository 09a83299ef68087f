"""The data card of a run: what the data is, how it was split, and what a reader should know before comparing."""

import datetime
from typing import Any

import numpy as np

from recjax.interactions import fingerprint
from recjax.types import Dataset, Split

HEAD = {"head_1": 0.01, "head_10": 0.1}  # shares of the items


def card(name: str, dataset: Dataset, split: Split) -> dict[str, Any]:
    """The card.

    Returns:
        name; queries, items, interactions: counts. density: different pairs / all pairs. duplicates: repetitions of a
        pair, whether kept or not, and `repeats`, whether they are; None where the reader does not tell. first, last:
        the days of the earliest and latest interaction, None without times. head_1, head_10: the share of all
        interactions that the most popular 1 % (10 %) of the items have. parts: interactions of training, validation
        and test. left_out: those in none of these. cold_queries, cold_items: the shares of what is judged on test
        (queries; interactions by their item) that nothing trained with. order; notes of the reader; fingerprint.
    """
    query, item, _, time = dataset.interactions
    queries, items = (len(dataset.vocabularies[side]) for side in ("query", "item"))
    pairs = len(np.unique(query.astype(np.int64) * items + item))
    count = np.sort(np.bincount(item, minlength=items))[::-1]
    held, train = split.test.relevant, split.train.interactions
    judged = np.unique(held.query)
    parts = {"training": len(train.query), "test": len(held.query)}
    if split.validation is not None:
        parts["validation"] = len(split.validation.relevant.query)
    known = len(split.test.known.interactions.query)
    notes = dict(dataset.notes)
    dropped = notes.pop("duplicates", None)
    duplicates = len(query) - pairs if dataset.repeats else dropped
    return {
        "name": name,
        "queries": queries,
        "items": items,
        "interactions": len(query),
        "density": pairs / (queries * items),
        "duplicates": duplicates,
        "repeats": dataset.repeats,
        "first": None if time is None else _day(int(np.min(time))),
        "last": None if time is None else _day(int(np.max(time))),
        **{name: float(count[: max(1, round(share * items))].sum() / len(item)) for name, share in HEAD.items()},
        "parts": parts,
        "left_out": len(query) - known - len(held.query),
        "cold_queries": float(np.mean(~np.isin(judged, train.query))),
        "cold_items": float(np.mean(~np.isin(held.item, train.item))),
        "order": "unknown" if train.time is None else "(time, row in the source)",
        **notes,
        "fingerprint": fingerprint(dataset),
    }


def line(found: dict[str, Any]) -> str:
    """The card as one line for a person.

    >>> card = {"density": 0.0447, "first": "2000-04-25", "last": "2003-02-28", "head_1": 0.1, "head_10": 0.438}
    >>> line(card | {"duplicates": 0, "repeats": False, "left_out": 0, "cold_queries": 0.0, "cold_items": 0.001})
    'data: density 4.47 %, 2000-04-25 to 2003-02-28, top 1 % of items 10.0 % and top 10 % 43.8 %, cold queries 0.0 % and items 0.1 %'
    """  # noqa: E501  one line it is
    days = "no times" if found["first"] is None else f"{found['first']} to {found['last']}"
    told = [
        f"density {100 * found['density']:.3g} %",
        days,
        f"top 1 % of items {100 * found['head_1']:.1f} % and top 10 % {100 * found['head_10']:.1f} %",
        f"cold queries {100 * found['cold_queries']:.1f} % and items {100 * found['cold_items']:.1f} %",
    ]
    if found["duplicates"]:
        told.append(f"{found['duplicates']:,} duplicates {'kept' if found['repeats'] else 'left out'}")
    if found["left_out"]:
        told.append(f"{found['left_out']:,} interactions in no part")
    if "core_rounds" in found:
        told.append(f"core after {found['core_rounds']} rounds, without {found['core_left_out']:,}")
    return "data: " + ", ".join(told)


def _day(seconds: int) -> str:
    """As 2000-04-25; where the calendar ends the seconds themselves."""
    try:
        return str((datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).date())
    except OverflowError:
        return str(seconds)
