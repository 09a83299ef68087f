"""Runs beside each other, query by query: by how much they differ, and whether that is noise."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recjax import folders, reports, significance
from recjax.errors import InputError

JUDGED = ("data.split", "data.share", "data.seed", "data.repeats")  # what else decides which queries and items count


class Difference(NamedTuple):
    """A metric of two runs over the same queries."""

    metric: str
    first: float
    second: float
    interval: significance.Interval  # of second - first


def judged(run: folders.Run) -> dict[str, str]:
    """What decides on which queries and items a run was judged."""
    settings = folders.settings(run)
    return {"the data's fingerprint": repr(run.result["data"]["fingerprint"])} | {
        name: repr(settings.get(name)) for name in JUDGED
    }


def apart(first: folders.Run, second: folders.Run) -> str:
    """Why two runs were not judged on the same: "" where they were."""
    ours, theirs = judged(first), judged(second)
    return "; ".join(f"{name} is {ours[name]} and {theirs[name]}" for name in ours if ours[name] != theirs[name])


def compare(first: folders.Run, second: folders.Run, columns: Sequence[str] = ()) -> list[Difference]:
    """The difference of each metric with its interval over queries.

    Args:
        columns: the metrics; by default those of a run's table that are one number a query.

    Raises:
        InputError: the runs were not judged on the same queries of the same data, or a metric is not known of both.
    """
    pair = f"{first.folder} and {second.folder}"
    if told := apart(first, second):
        raise InputError(f"{pair}: {told}; wanted runs on the same data and split")
    ours, theirs = (folders.queries(run.folder) for run in (first, second))
    if not np.array_equal(ours["query"], theirs["query"]):
        same = len(np.intersect1d(ours["query"], theirs["query"]))
        told = f"{len(ours['query'])} and {len(theirs['query'])} queries were judged, {same} of them the same"
        raise InputError(f"{pair}: {told}; wanted runs judged on the same queries")
    known = [name for name in per_query(ours) if name in theirs]
    names = list(columns) or reports.columns(dict.fromkeys(known, 0.0))
    for name in names:
        if name not in known:
            raise InputError(f"{pair}: {name!r} is not known of each query of both; wanted some of {', '.join(known)}")
    if not names:
        raise InputError(f"{pair} have no metric in common; wanted the same evaluate.k")
    return [
        Difference(
            name, float(ours[name].mean(dtype=np.float64)), float(theirs[name].mean(dtype=np.float64)),
            significance.bootstrap(theirs[name].astype(np.float64) - ours[name]),
        )
        for name in names
    ]  # fmt: skip


def per_query(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The metrics of the run's own model among the arrays of queries.npz."""
    return [name for name in arrays if "@" in name and "/" not in name]


def text(first: folders.Run, second: folders.Run, found: Sequence[Difference]) -> str:
    """What a person reads: the table, then a sentence for each metric."""
    a, b = names([first, second])
    rows = {
        one.metric: {a: one.first, b: one.second, "difference": one.interval.mean, "low": one.interval.low,
                     "high": one.interval.high}
        for one in found
    }  # fmt: skip
    queries = len(folders.queries(first.folder)["query"])
    return "\n".join(
        [
            f"{b} against {a}, over {queries:,} test queries",
            _settings(first, second),
            "",
            reports.table(rows, [a, b, "difference", "low", "high"]),
            "",
            *(f"- {sentence(one, a, b)}" for one in found),
        ]
    )


def names(runs: Sequence[folders.Run]) -> list[str]:
    """The folders' names, or where these are not all different, their paths."""
    short = [run.name for run in runs]
    return short if len(set(short)) == len(short) else [str(run.folder) for run in runs]


def sentence(found: Difference, a: str, b: str) -> str:
    """One metric in words.

    >>> interval = significance.Interval(0.02, -0.01, 0.05, 0.2)
    >>> sentence(Difference("recall@10", 0.1, 0.12, interval), "a", "b")
    'recall@10: b - a is +.0200 (+20.0 %), by 95 % between -.0100 and +.0500: it may be noise'
    >>> sentence(Difference("recall@10", 0.1, 0.12, interval._replace(low=0.01)), "a", "b")
    'recall@10: b - a is +.0200 (+20.0 %), by 95 % between +.0100 and +.0500: more than noise, b is better'
    """
    one, toward = found.interval, significance.direction(found.metric)
    mean, low, high = (("+" if value >= 0 else "") + reports.number(value) for value in (one.mean, one.low, one.high))
    share = f" ({one.mean / found.first:+.1%})".replace("%", " %") if found.first else ""
    if not np.any([one.mean, one.low, one.high]):
        verdict = "the same for every query"
    elif one.noise:
        verdict = "it may be noise"
    elif toward:
        verdict = f"more than noise, {b if one.mean * toward > 0 else a} is better"
    else:
        verdict = "more than noise"
    return f"{found.metric}: {b} - {a} is {mean}{share}, by 95 % between {low} and {high}: {verdict}"


def _settings(first: folders.Run, second: folders.Run) -> str:
    """What the two set differently, and what the interval leaves out."""
    ours, theirs = (folders.settings(run) for run in (first, second))
    differ = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
    told = ", ".join(f"{name} {ours.get(name)} -> {theirs.get(name)}" for name in differ)
    if differ == ["seed"]:
        return f"({told}: what a seed alone does)"
    left = "over queries: what another seed would do is not in the intervals"
    return f"({told or 'the same settings'}; {left})"
