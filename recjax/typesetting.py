"""Tables for papers: mean ± standard deviation over seeds, the best in bold where that is more than noise."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recjax import reports, significance

ALPHA = 1 - significance.LEVEL
_ESCAPES = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    one: f"\\{one}" for one in "&%$#_{}"
}


class Row(NamedTuple):
    """What is known of one line of a table."""

    name: str
    values: dict[int, dict[str, float]]  # by seed, each metric
    queries: dict[str, np.ndarray]  # of a single run, each metric by query [Q]; else empty
    judged: str = ""  # on what; rows judged on something else are not tested against each other


class Cell(NamedTuple):
    """A number as it is shown."""

    mean: str  # "": not known
    sd: str  # "": of a single run
    bold: bool


def cells(rows: Sequence[Row], columns: Sequence[str]) -> list[list[Cell]]:
    """[rows][columns]. A mean is of the seeds that have the metric."""
    best = {column: _best(rows, column) for column in columns}
    return [[_cell(row, column, number == best[column]) for column in columns] for number, row in enumerate(rows)]


def significant(best: Row, other: Row, column: str) -> bool:
    """Whether two rows differ by more than noise: over the seeds that both have, else over queries."""
    if best.judged != other.judged:
        return False
    ours, theirs = (_values(row, column) for row in (best, other))
    seeds = [seed for seed in ours if seed in theirs]
    if len(seeds) > 1:
        p = significance.paired(*(np.array([one[seed] for seed in seeds]) for one in (ours, theirs)))
        return p < ALPHA
    first, second = best.queries.get(column), other.queries.get(column)
    if first is None or second is None or len(first) != len(second):
        return False
    return not significance.bootstrap(first.astype(np.float64) - second).noise


def markdown(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """A Markdown table.

    >>> rows = [Row("mf", {0: {"mrr@10": 0.1}, 1: {"mrr@10": 0.1}}, {}),
    ...         Row("dnn", {0: {"mrr@10": 0.25}, 1: {"mrr@10": 0.26}}, {})]
    >>> print(markdown(rows, ["mrr@10"]))
    |     |            mrr@10 |
    | --- | ----------------: |
    | mf  |     .1000 ± .0000 |
    | dnn | **.2550 ± .0071** |
    """

    def shown(cell: Cell) -> str:
        text = f"{cell.mean} ± {cell.sd}" if cell.sd else cell.mean
        return f"**{text}**" if cell.bold else text

    found = cells(rows, columns)
    named = [[row.name.replace("|", "\\|"), *map(shown, line)] for row, line in zip(rows, found, strict=True)]
    return reports.grid([["", *columns], *named])


def latex(rows: Sequence[Row], columns: Sequence[str]) -> str:
    r"""A LaTeX table; it needs the package booktabs.

    >>> print(latex([Row("50 % & more", {0: {"mrr@10": 0.25}}, {})], ["mrr@10"]))
    \begin{tabular}{lr}
    \toprule
     & mrr@10 \\
    \midrule
    50 \% \& more & .2500 \\
    \bottomrule
    \end{tabular}
    """

    def shown(cell: Cell) -> str:
        mean = f"\\textbf{{{cell.mean}}}" if cell.bold else cell.mean
        return f"{mean} $\\pm$ {cell.sd}" if cell.sd else mean

    found = [["", *map(escape, columns)]]
    found += [[escape(row.name), *map(shown, line)] for row, line in zip(rows, cells(rows, columns), strict=True)]
    body = [" & ".join(line) + r" \\" for line in found]
    head = rf"\begin{{tabular}}{{l{'r' * len(columns)}}}"
    return "\n".join([head, r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule", r"\end{tabular}"])


def escape(text: str) -> str:
    r"""Text as LaTeX sets it.

    >>> print(escape("cross_group_share@10 < 5 %"))
    cross\_group\_share@10 < 5 \%
    """
    return "".join(_ESCAPES.get(one, one) for one in text)


def caption(rows: Sequence[Row]) -> str:
    """What the numbers and the bold ones mean."""
    seeds = sorted({seed for row in rows for seed in row.values})
    test = "better than every other row with p < .05"
    if any(len(row.values) > 1 for row in rows):
        over = f"Mean ± standard deviation over seeds {', '.join(map(str, seeds))}; bold: the best, and {test}"
        told = f"{over} in a paired t-test over seeds (two-sided, not corrected for several rows or metrics)."
    else:
        told = (
            f"One run each; bold: the best, and {test} in a paired bootstrap over queries; other seeds are not in it."
        )
    if len({row.judged for row in rows}) > 1:
        told += " Rows that were judged on different data or splits are not tested against each other."
    return told


def _best(rows: Sequence[Row], column: str) -> int | None:
    """The row to be set in bold."""
    toward = significance.direction(column)
    known = [number for number, row in enumerate(rows) if _values(row, column)]
    if not toward or len(known) < 2:
        return None
    best = max(known, key=lambda number: toward * float(np.mean(list(_values(rows[number], column).values()))))
    others = [rows[number] for number in known if number != best]
    return best if all(significant(rows[best], other, column) for other in others) else None


def _values(row: Row, column: str) -> Mapping[int, float]:
    return {seed: found[column] for seed, found in row.values.items() if column in found}


def _cell(row: Row, column: str, bold: bool) -> Cell:
    values = list(_values(row, column).values())
    if not values:
        return Cell("", "", False)
    sd = reports.number(float(np.std(values, ddof=1))) if len(values) > 1 else ""
    return Cell(reports.number(float(np.mean(values))), sd, bold)
