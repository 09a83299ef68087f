"""The k-core of a data set: queries and items with enough interactions among themselves."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recjax import configs
from recjax.errors import InputError
from recjax.interactions import take
from recjax.types import Bag, Dataset, Features, Groups, Interactions


def core(dataset: Dataset, settings: configs.Data) -> Dataset:
    """The largest part in which each query has data.least_query interactions and each item data.least_item.

    Whatever has fewer is left out, in rounds until nothing is: the notes count the rounds, and what they left out. Ids
    count anew, and vocabularies, features, groups and impressions hold what is left. With 1 and 1 it is the same data.

    Raises:
        InputError: nothing is left, or the split is read from files, whose ids are those of the whole.
    """
    least = {"query": settings.least_query, "item": settings.least_item}
    if max(least.values()) == 1:
        return dataset
    if settings.split in ("ncf", "lightgcn", "lightgcn_tuning"):
        raise InputError(
            f"data.split={settings.split!r} is published for the whole data, and data.least_query={least['query']}, "
            f"data.least_item={least['item']} would take from it; type --config.data.least_query=1 "
            "--config.data.least_item=1, or name another split"
        )
    found, rounds = dataset.interactions, 0
    while True:
        few = np.zeros(len(found.query), bool)
        for side, count in least.items():
            ids = getattr(found, side)
            few |= np.bincount(ids)[ids] < count if len(ids) else False
        if not few.any():
            break
        found, rounds = take(found, ~few), rounds + 1
    if not len(found.query):
        raise InputError(
            f"data.least_query={least['query']} and data.least_item={least['item']} leave none of "
            f"{len(dataset.interactions.query)} interactions after {rounds} rounds; type smaller ones"
        )
    notes = {"core_rounds": rounds, "core_left_out": len(dataset.interactions.query) - len(found.query)}
    return _only(dataset, found, np.unique(found.query), np.unique(found.item), notes)


def _only(
    dataset: Dataset, found: Interactions, queries: np.ndarray, items: np.ndarray, notes: dict[str, int]
) -> Dataset:
    """The data set of these interactions, queries [M'] and items [N']."""
    shown, groups = dataset.impressions, dataset.groups
    if shown is not None:
        shown = take(shown, np.isin(shown.query, queries) & np.isin(shown.item, items))
    return dataset._replace(
        interactions=_renumbered(found, queries, items),
        queries=_rows(dataset.queries, "query", queries),
        corpus=_rows(dataset.corpus, "item", items),
        vocabularies=_named(dataset.vocabularies, {"query": queries, "item": items}),
        groups=None if groups is None else Groups(groups.query[queries], groups.item[items]),
        impressions=None if shown is None else _renumbered(shown, queries, items),
        notes={**dataset.notes, **notes},
    )


def _renumbered(one: Interactions, queries: np.ndarray, items: np.ndarray) -> Interactions:
    query, item = (np.searchsorted(*pair).astype(np.int32) for pair in ((queries, one.query), (items, one.item)))
    return one._replace(query=query, item=item)


def _rows(features: Features, own: str, ids: np.ndarray) -> dict[str, Any]:
    found = {
        name: Bag(value.ids[ids], value.where[ids]) if isinstance(value, Bag) else value[ids]
        for name, value in features.items()
    }
    return found | {own: np.arange(len(ids), dtype=np.int32)}


def _named(vocabularies: Mapping[str, np.ndarray], left: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value[left[name]] if name in left else value for name, value in vocabularies.items()}
