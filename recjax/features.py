"""Which features a tower reads: the names in a config, groups resolved."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recjax import configs
from recjax.errors import InputError, unknown
from recjax.types import Bag, Dataset, Features


def query(settings: configs.Model, dataset: Dataset) -> list[str]:
    """What the query tower reads; that of MF reads the query's id alone.

    Raises:
        InputError: a name that is neither a feature nor a group, or no name.
    """
    if settings.name == "mf":
        return ["query"]
    timed = dataset.interactions.time is not None
    own = ["history", "query"] + ["since_last", "example_age"] * timed
    return _choose("query_features", settings.query_features, own, dataset.queries, list(over_history(dataset)))


def item(settings: configs.Model, dataset: Dataset) -> list[str]:
    """What the item tower of a two-tower reads.

    Raises:
        InputError: as `query`.
    """
    return _choose("item_features", settings.item_features, ["item"], dataset.corpus)


def over_history(dataset: Dataset) -> Features:
    """The items' side features of ids, by the names that their bags over a history have."""
    return {f"history_{name}": value for name, value in dataset.corpus.items() if name != "item" and not dense(value)}


def dense(value: Any) -> bool:
    """Whether a feature's values are numbers, and no ids."""
    return not isinstance(value, Bag) and np.issubdtype(value.dtype, np.floating)


def _choose(
    field: str, names: Sequence[str], own: Sequence[str], given: Features, over: Sequence[str] = ()
) -> list[str]:
    """The features that `names` name, groups resolved.

    Args:
        over: features of the history's items, which no group but "history_side" has.
    """
    side = [name for name in given if name not in ("query", "item")]
    groups = {"side": side, "recency": ["since_last"] if "since_last" in own else [], "all": [*own, *side]}
    groups |= {"history_side": list(over)} if "history" in own else {}
    chosen = [one for name in names for one in groups.get(name, [name])]
    for name in chosen:
        if name not in own and name not in side and name not in over:
            raise unknown(f"feature in model.{field}", name, [*own, *side, *over, *groups])
    if not chosen:
        raise InputError(f"model.{field} is empty; type for example --config.model.{field}={own[0]}")
    return list(dict.fromkeys(chosen))
