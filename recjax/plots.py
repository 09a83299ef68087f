"""Pictures of a run. Each function draws one and writes it as PNG."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np

from recjax import runs

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PALETTE = plt.get_cmap("tab10")
plt.rcParams["legend.loc"] = "upper right"  # to look for the best place takes seconds on many points


def curves(path: pathlib.Path, lines: Sequence[Mapping], select: str, best_step: int) -> None:
    """The training loss, the validation metric that chose the stopping step, and folding on validation, by step.

    A band is two standard errors of the sampled pairs.
    """
    loss = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    judged = [line for line in lines if select in line]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.2), layout="constrained")
    left.plot(*np.array(loss).T, color=PALETTE(0))
    left.set(xlabel="step", ylabel="training loss")
    middle.plot(*_curve(judged, select), marker="o", color=PALETTE(1))
    middle.set(xlabel="step", ylabel=f"validation {select}", title=f"kept: step {best_step}")
    shares = [name for name in judged[-1] if name.startswith("cross_group_share@")][:1] if judged else []
    for number, name in enumerate([*shares, "cross_group_excess", "folding_excess"], 2):
        known = [line for line in judged if name in line]
        if not known:
            continue
        steps, value = _curve(known, name)
        error = np.array([2 * line.get("standard_error", {}).get(name, 0.0) for line in known])
        right.fill_between(steps, value - error, value + error, color=PALETTE(number), alpha=0.2, linewidth=0)
        right.plot(steps, value, marker="o", color=PALETTE(number), label=name)
        right.legend(frameon=False)
    right.set(xlabel="step", ylabel="folding on validation")
    for panel in (middle, right):
        panel.axvline(best_step, color="0.7", zorder=0)
    save(figure, path)


def _curve(lines: Sequence[Mapping], name: str) -> np.ndarray:
    """[2 S]: the steps, and a metric."""
    return np.array([(line["step"], line[name]) for line in lines]).reshape(-1, 2).T


def embeddings(
    path: pathlib.Path,
    queries: np.ndarray,
    items: np.ndarray,
    query_group: np.ndarray | None = None,
    item_group: np.ndarray | None = None,
    most: int = 2000,
) -> None:
    """Queries and items in the first two principal components of the items, coloured by group where known."""
    rng = np.random.default_rng(0)
    center = items.mean(0)
    _, values, axes = np.linalg.svd(items - center, full_matrices=False)
    axes = axes[:2] if len(axes) > 1 else np.concatenate([axes, np.zeros_like(axes)])
    share = np.zeros(2)
    share[: len(values[:2])] = (values**2 / max(np.sum(values**2), 1e-30))[:2]
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    for panel, name, rows, group in (
        (panels[0], "queries", queries, query_group),
        (panels[1], "items", items, item_group),
    ):
        some = rng.permutation(len(rows))[:most]
        color = [PALETTE(0)] * len(some) if group is None else PALETTE(np.asarray(group)[some] % 10)
        panel.scatter(*((rows[some] - center) @ axes.T).T, s=5, c=color, linewidths=0)
        panel.set(title=name, xlabel=f"component 1 ({share[0]:.0%} of the items' variance)")
    panels[0].set_ylabel(f"component 2 ({share[1]:.0%})")
    save(figure, path)


def scores(path: pathlib.Path, observed: np.ndarray, random: np.ndarray) -> None:
    """Histograms of the scores of observed pairs and of random pairs. Source: Krichene et al. 2019, appendix B."""
    random = random.reshape(-1)
    bins = list(np.linspace(min(observed.min(), random.min()), max(observed.max(), random.max()) + 1e-9, 80))
    figure, panel = plt.subplots(figsize=(5, 3.2), layout="constrained")
    panel.hist(random, bins, density=True, alpha=0.6, label="random pairs", color=PALETTE(7))
    panel.hist(observed, bins, density=True, alpha=0.6, label="observed pairs", color=PALETTE(0))
    panel.set(xlabel="score", ylabel="density")
    panel.legend(frameon=False)
    save(figure, path)


def bars(path: pathlib.Path, rows: Mapping[str, Mapping[str, Mapping[str, float]]], metrics: Sequence[str]) -> None:
    """Means of a study's rows with their standard deviations, a panel a metric."""
    figure, panels = plt.subplots(
        1, len(metrics), figsize=(2.2 + 2.2 * len(metrics), 0.8 + 0.35 * len(rows)), sharey=True, layout="constrained"
    )
    names = list(rows)[::-1]
    for panel, metric in zip(np.atleast_1d(panels), metrics, strict=True):
        known = [name for name in names if metric in rows[name]]
        panel.barh(
            [names.index(name) for name in known],
            [rows[name][metric]["mean"] for name in known],
            xerr=[rows[name][metric]["sd"] for name in known],
            color=[PALETTE(len(names) - 1 - names.index(name)) for name in known],
        )
        panel.set(title=metric, yticks=range(len(names)), yticklabels=names)
        panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def against(
    path: pathlib.Path, label: str, rows: Mapping[float, Mapping[str, Mapping[str, float]]], metrics: Sequence[str]
) -> None:
    """Means of a study's rows against a number, 0 included, with bands of one standard deviation; a panel a metric."""
    figure, panels = plt.subplots(1, len(metrics), figsize=(2.9 * len(metrics), 2.8), layout="constrained")
    for number, (panel, metric) in enumerate(zip(np.atleast_1d(panels), metrics, strict=True)):
        known = [value for value in sorted(rows) if metric in rows[value]]
        mean = np.array([rows[value][metric]["mean"] for value in known])
        sd = np.array([rows[value][metric]["sd"] for value in known])
        panel.fill_between(known, mean - sd, mean + sd, color=PALETTE(number), alpha=0.2, linewidth=0)
        panel.plot(known, mean, marker="o", color=PALETTE(number))
        panel.set_xscale("symlog", linthresh=min((value for value in known if value > 0), default=1.0))
        panel.set_xticks(known, [f"{value:g}" for value in known], rotation=60, fontsize=7)
        panel.minorticks_off()
        panel.set(xlabel=label, title=metric)
        panel.spines[["top", "right"]].set_visible(False)
    save(figure, path)


class Panel(NamedTuple):
    """Some lines over places on an axis, which are evenly spaced: line -> place -> its "mean" and "sd"."""

    title: str
    label: str  # of the axis
    lines: Mapping[str, Mapping[str, Mapping[str, float]]]


def lines(path: pathlib.Path, panels: Sequence[Panel]) -> None:
    """Lines with bands of one standard deviation, a panel a metric; each line may have places of its own."""
    figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.2), layout="constrained", squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        places = list(dict.fromkeys(place for line in panel.lines.values() for place in line))
        for number, (name, line) in enumerate(panel.lines.items()):
            at = [places.index(place) for place in line]
            mean, sd = (np.array([found[one] for found in line.values()]) for one in ("mean", "sd"))
            axis.fill_between(at, mean - sd, mean + sd, color=PALETTE(number), alpha=0.2, linewidth=0)
            axis.plot(at, mean, marker="o", markersize=4, color=PALETTE(number), label=name)
        axis.set_xticks(range(len(places)), places)
        axis.set(xlabel=panel.label, title=panel.title)
        axis.spines[["top", "right"]].set_visible(False)
        if len(panel.lines) > 1:
            axis.legend(frameon=False, fontsize=7)
    save(figure, path)


def save(figure, path: pathlib.Path) -> None:
    """Writes a figure as PNG, whole or not at all, and closes it."""
    runs.replace(path, lambda file: figure.savefig(file, dpi=120, format="png"))
    plt.close(figure)
