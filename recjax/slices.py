"""Metrics by slice: for whom does a model retrieve well, and what?"""

import numpy as np

from recjax import evaluate, reports
from recjax.types import HeldOut

PARTS = 4


def slices(ranking: evaluate.Ranking, held: HeldOut) -> dict[str, dict[str, dict[str, float]]]:
    """Means of the metrics over slices of the judged queries.

    Returns:
        slice -> part -> "queries", how many they are, and each metric that a table shows. "group" of the query;
        "history", how many interactions were known; "popularity", the mean count of known interactions of the relevant
        items; "time" of the first relevant interaction. The last three in four parts with about as many queries each,
        fewer where many are equal; what the data does not know is left out.
    """
    known, relevant = held.known.interactions, held.relevant
    row = np.searchsorted(ranking.query, relevant.query)  # the judged queries are in ascending order
    count = np.bincount(known.item, minlength=len(held.known.corpus["item"]))
    of_each = np.bincount(row)
    values: dict[str, tuple[np.ndarray, list[str]]] = {}
    if held.known.groups is not None:
        groups = held.known.groups.query[ranking.query]
        values["group"] = groups, [str(one) for one in range(int(groups.max()) + 1)]
    lengths = np.bincount(known.query, minlength=int(ranking.query.max()) + 1)[ranking.query]
    values["history"] = parts(lengths)
    values["popularity"] = parts(np.bincount(row, weights=count[relevant.item]) / of_each)
    if relevant.time is not None:
        first = np.full(len(ranking.query), np.iinfo(np.int64).max)
        np.minimum.at(first, row, relevant.time)
        days = (first - first.min()) / 86400
        values["time"] = parts(np.floor(days))
    names = reports.columns(dict.fromkeys(ranking.metrics, 0.0))
    return {
        name: {
            label: {"queries": float(np.sum(which == number))}
            | {one: float(np.mean(ranking.metrics[one][which == number], dtype=np.float64)) for one in names}
            for number, label in enumerate(labels)
            if np.any(which == number)
        }
        for name, (which, labels) in values.items()
    }


def parts(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The part that each value is in, and the parts' names.

    >>> parts(np.array([1, 9, 2, 3, 4, 5, 6, 7]))
    (array([0, 3, 0, 1, 1, 2, 2, 3]), ['1 to 2', '3 to 4', '5 to 6', '7 to 9'])
    >>> parts(np.array([3.0, 3.0, 3.0]))
    (array([0, 0, 0]), ['3'])
    """
    edges = np.unique(np.quantile(values, np.arange(1, PARTS) / PARTS, method="lower"))
    which = np.searchsorted(edges, values)  # values up to an edge are before it
    present, which = np.unique(which, return_inverse=True)
    labels = []
    for number in range(len(present)):
        own = values[which == number]
        low, high = f"{own.min():.6g}", f"{own.max():.6g}"
        labels.append(low if low == high else f"{low} to {high}")
    return which, labels
