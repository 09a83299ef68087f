"""What a person reads at the end of a run: numbers, tables and lists as text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = (
    "recall",
    "ndcg",
    "mrr",
    "coverage",
    "mean_popularity",
    "cross_group_share",
    "cross_group_excess",
    "folding_excess",
    "random_pair_auc",
)


def columns(metrics: Mapping[str, Any]) -> list[str]:
    """The metrics that a table shows, out of those that were computed: recall and NDCG at every K, the rest at one.

    Metrics among candidates (sampled_) come in the same places.

    >>> columns({"mrr@10": 0.1, "mrr@20": 0.1, "map@10": 0.1, "recall@10": 0.2, "recall@20": 0.3})
    ['recall@10', 'recall@20', 'mrr@10']
    >>> columns({"sampled_ndcg@10": 0.1, "sampled_recall@10": 0.2})
    ['sampled_recall@10', 'sampled_ndcg@10']
    """
    found = {one: [name for name in metrics if name.split("@")[0].removeprefix("sampled_") == one] for one in COLUMNS}
    return [name for one, names in found.items() for name in (names if one in ("recall", "ndcg") else names[:1])]


def table(rows: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> str:
    """A Markdown table, one row a retriever; a metric that was not computed leaves its cell empty.

    >>> print(table({"model": {"ndcg@10": 0.08123, "mean_popularity@10": 312.4}}, ["ndcg@10", "mean_popularity@10"]))
    |       | ndcg@10 | mean_popularity@10 |
    | ----- | ------: | -----------------: |
    | model |   .0812 |              312.4 |
    """
    return _markdown({row: [number(values.get(name)) for name in names] for row, values in rows.items()}, names)


def errors(found: Mapping[str, float], error: Mapping[str, float]) -> str:
    """Estimates over sampled pairs with their standard errors, in a line.

    >>> errors({"folding_excess": 0.15, "random_pair_auc": 0.9}, {"folding_excess": 0.002, "random_pair_auc": 0.001})
    'over sampled pairs, ± standard error: folding_excess .1500 ± .0020, random_pair_auc .9000 ± .0010'
    """
    parts = [f"{name} {number(found[name])} ± {number(one)}" for name, one in error.items()]
    return f"over sampled pairs, ± standard error: {', '.join(parts)}"


def ranges(interval: Mapping[str, Sequence[float]]) -> str:
    """Where the table's means may lie, in a line.

    >>> ranges({"recall@10": [0.2, 0.25], "map@10": [0.1, 0.2]})
    'over queries, by 95 %: recall@10 .2000 to .2500'
    """
    told = [f"{name} {number(interval[name][0])} to {number(interval[name][1])}" for name in columns(dict(interval))]
    return f"over queries, by 95 %: {', '.join(told)}"


def curve(lines: Iterable[Mapping[str, Any]], select: str) -> list[dict[str, Any]]:
    """Out of the lines of metrics.jsonl, at each validation: the step, what it cost to come there, and `select`.

    "seconds" are of training alone; "scored", where a sampler tells it, is the mean number of candidates so far.

    >>> curve([{"step": 2, "seconds": 0.5}, {"step": 2, "split": "validation", "ndcg@10": 0.1}], "ndcg@10")
    [{'step': 2, 'seconds': 0.5, 'ndcg@10': 0.1}]
    """
    found: list[dict[str, Any]] = []
    seconds, scored, before = 0.0, 0.0, 0
    for line in lines:
        if "split" in line:
            cost = {"seconds": seconds} | ({"scored": scored / before} if scored else {})
            found.append({"step": line["step"], **cost, select: line[select]})
        else:
            seconds += line["seconds"]
            scored += line.get("scored", 0.0) * (line["step"] - before)
            before = line["step"]
    return found


def listing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of names and numbers as a Markdown table.

    >>> print(listing([{"item": "Fargo", "rank": 1, "score": 2.5}]))
    | item  | rank | score |
    | ----- | ---: | ----: |
    | Fargo |    1 | 2.500 |
    """
    cells = [[number(value) if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    return grid([list(rows[0]), *cells])


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers by the words of their names.

    >>> flat({"collapse": 0.5, "retrieved": {"top 1 %": 0.25}})
    {'collapse': 0.5, 'retrieved top 1 %': 0.25}
    """
    found: dict[str, float] = {}
    for name, value in nested.items():
        found |= flat(value, f"{prefix}{name} ") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def number(value: float | None) -> str:
    """Four decimals below 1, four significant digits above.

    >>> number(0.5), number(-0.25), number(-1e-9), number(3.14159), number(99.996), number(1234.5), number(None)
    ('.5000', '-.2500', '.0000', '3.142', '100.0', '1234', '')
    >>> number(35239.27)
    '35239'
    """
    if value is None:
        return ""
    value = round(value, 4) + 0.0  # no minus before a zero
    if abs(value) < 1:
        return f"{value:.4f}".replace("0.", ".", 1)
    digits = len(str(int(float(f"{abs(value):.4g}"))))
    return f"{value:.{max(0, 4 - digits)}f}"


def summary(rows: Mapping[str, Mapping[str, Mapping[str, float]]], names: Sequence[str]) -> str:
    """The Markdown table of a study: mean ± standard deviation over seeds.

    >>> print(summary({"mf": {"ndcg@10": {"mean": 0.04, "sd": 0.0012}}}, ["ndcg@10"]))
    |    |       ndcg@10 |
    | -- | ------------: |
    | mf | .0400 ± .0012 |
    """
    return _markdown({row: [_spread(found.get(one)) for one in names] for row, found in rows.items()}, names)


def beside(rows: Mapping[str, Mapping[str, Mapping[str, float]]], published: Mapping[str, Mapping[str, float]]) -> str:
    """A study's means ± standard deviations beside a source's numbers, of the metrics that the source has.

    >>> print(beside({"mf": {"ndcg@10": {"mean": 0.04, "sd": 0.001}}}, {"mf": {"ndcg@10": 0.0412}, "their own": {}}))
    |           | ndcg@10, ours | published |
    | --------- | ------------: | --------: |
    | mf        | .0400 ± .0010 |     .0412 |
    | their own |               |           |
    """
    names = list(dict.fromkeys(name for row in published.values() for name in row))
    columns = [text for name in names for text in (f"{name}, ours", "published")]

    def cells(row: str) -> list[str]:
        ours, theirs = rows.get(row, {}), published.get(row, {})
        return [text for name in names for text in (_spread(ours.get(name)), number(theirs.get(name)))]

    return _markdown({row: cells(row) for row in dict.fromkeys([*rows, *published])}, columns)


def _spread(found: Mapping[str, float] | None) -> str:
    return f"{number(found['mean'])} ± {number(found['sd'])}" if found else ""


def _markdown(rows: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    return grid([["", *names]] + [[row, *values] for row, values in rows.items()])


def grid(cells: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the first of them the header, the first cell of each to the left."""
    width = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    rule = ["-" * width[0]] + ["-" * (size - 1) + ":" for size in width[1:]]

    def line(parts: Sequence[str]) -> str:
        padded = [one.rjust(size) for one, size in zip(parts, width, strict=True)]
        return "| " + " | ".join([parts[0].ljust(width[0]), *padded[1:]]) + " |"

    return "\n".join(map(line, [cells[0], rule, *cells[1:]]))
