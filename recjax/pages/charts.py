"""The pictures of several runs, as SVG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recjax import folders
from recjax.plots import PALETTE, plt

TICKS = 6  # so many values of a number are named on the axis


def curves(arms: Sequence[folders.Arm], select: str) -> bytes:
    """A validation metric by step, with a band of one standard deviation over seeds, an arm a colour.

    A band ends with the first seed that stopped; what came after is drawn thin, a line a seed.
    """
    figure, panel = plt.subplots(figsize=(9, 3.4), layout="constrained")
    for number, arm in enumerate(arms):
        color = PALETTE(number % 10)
        found = [_points(run, select) for run in arm.runs]
        shared = min(len(one) for one in found)
        values = np.array([one[:shared, 1] for one in found])
        steps, mean, sd = found[0][:shared, 0], values.mean(0), values.std(0, ddof=min(1, len(found) - 1))
        panel.fill_between(steps, mean - sd, mean + sd, color=color, alpha=0.18, linewidth=0)
        panel.plot(steps, mean, color=color, marker="o", markersize=3, label=arm.name)
        for one in found:
            panel.plot(*one[shared - 1 :].T, color=color, linewidth=0.7, alpha=0.6)
    panel.set(xlabel="step", ylabel=f"validation {select}")
    panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def against(values: Mapping[str, Sequence[Any]], metrics: Mapping[str, Sequence[float]]) -> bytes:
    """Metrics (a row each) against each swept field (a column each): a dot a trial, a line through the means.

    Args:
        values: of each field, one a trial.
        metrics: one a trial.
    """
    figure, axes = plt.subplots(
        len(metrics), len(values), squeeze=False, sharey="row", layout="constrained",
        figsize=(max(3.2 * len(values), 4.5), 0.4 + 2.3 * len(metrics)),
    )  # fmt: skip
    for row, (metric, numbers) in zip(axes, metrics.items(), strict=True):
        for panel, (name, given) in zip(row, values.items(), strict=True):
            places = _places(given)
            at = np.array([places[one] for one in given])
            known = sorted(set(at))
            if len(known) < len(at):
                means = [np.mean(np.asarray(numbers)[at == one]) for one in known]
                panel.plot(known, means, color=PALETTE(0), linewidth=1.2)
            panel.scatter(at, numbers, s=14, color=PALETTE(0), alpha=0.6, linewidths=0)
            if _numeric(given) and _wide(known):
                panel.set_xscale("log")
            if len(known) <= TICKS or not _numeric(given):
                names = [str(one) for one, _ in sorted(places.items(), key=lambda pair: pair[1])]
                panel.set_xticks(known, names, rotation=0 if _numeric(given) else 20)
                panel.minorticks_off()
                panel.margins(x=0.15)
            panel.set_xlabel(name)
        row[0].set_ylabel(metric)
    return _svg(figure)


def _points(run: folders.Run, select: str) -> np.ndarray:
    """[S 2]: steps and values."""
    return np.array([(one["step"], one[select]) for one in run.result["curve"]], np.float64).reshape(-1, 2)


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)


def _wide(values: Sequence[float]) -> bool:
    """Whether they are to be told apart on a logarithmic axis."""
    return bool(min(values) > 0 and max(values) >= 8 * min(values))


def _places(values: Sequence[Any]) -> dict[Any, float]:
    """Where on the axis each value stands."""
    different = list(dict.fromkeys(values))
    if _numeric(values):
        return {one: float(one) for one in different}
    return {one: float(place) for place, one in enumerate(sorted(different, key=str))}


def _svg(figure: Any) -> bytes:
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "recjax"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return file.getvalue()
