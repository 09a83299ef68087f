"""The report of a study or a sweep."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recjax import folders, reports, runs, significance, tabulation, typesetting
from recjax.folders import Arm, Several
from recjax.pages import charts, elements, run, settings
from recjax.pages.elements import Markup, join, section, table, tag

MOST, DRAWN, BEST = 40, 8, 5  # arms in a table, in a picture, with their command


def write(folder: pathlib.Path) -> pathlib.Path:
    """Writes report.html into the folder of a study or a sweep.

    Raises:
        InputError: it is none, or no run in it is completed.
    """
    path = folder / folders.REPORT
    runs.write_text(path, page(folders.several(folder)))
    return path


def page(found: Several) -> str:
    """The whole page; arms stand in the order of validation, where there is one."""
    title = _title(found)
    if not found.arms:  # a measurement: rows that are no runs
        return elements.page(title, *_head(found, title), section("What was measured", _summary(found), _drawn(found)))
    arms = ranked(found.arms)
    best = _top(arms[0])
    flat = [folders.settings(one) for arm in arms for one in arm.runs]
    shared = {name: value for name, value in flat[0].items() if all(one[name] == value for one in flat)}
    alike = f"{arms[0].name}, seed {best.result['seed']}"
    return elements.page(
        title,
        *_head(found, title),
        _counts(found),
        run.tiles(best.result),
        tag("p", f"test part: {alike}, the best on validation", kind="soft"),
        section("Best by validation", commands(arms)),
        section("Test part, beside baselines", results(found, arms)),
        section("Curves and swept settings", curves(arms), swept(found), _drawn(found)),
        section("Without a result", failures(found)),
        section("Scores and embeddings", portraits(found, arms)),
        section(f"Diagnosis of {alike}", run.diagnosis(best.result)),
        section(f"Worst offenders of {alike}", run.offenders(best.folder)),
        section("Time", timing(arms)),
        section("Settings that all share", settings.sections(shared, "Beside what differs: ")),
        section("Trials", trials(found)),
        section("Data and environment", run.about(best.result)),
    )


def ranked(arms: Sequence[Arm]) -> list[Arm]:
    """The best on validation first; without validation as they came."""
    select = chosen(arms)
    if not select:
        return list(arms)
    return sorted(arms, key=lambda arm: -significance.direction(select) * (mean(arm, f"validation_{select}") or 0.0))


def chosen(arms: Sequence[Arm]) -> str:
    """The metric that chose every run's best step; "" where there is none, or not one for all."""
    names = {
        next((name for name in one.result["metrics"] if name.startswith("validation_")), "")
        for arm in arms
        for one in arm.runs
    }
    return names.pop().removeprefix("validation_") if len(names) == 1 else ""


def mean(arm: Arm, metric: str, part: str = "metrics") -> float | None:
    """Over the arm's seeds; None where one has none."""
    values = [one.result[part].get(metric) for one in arm.runs]
    return None if None in values else float(np.mean(values))


def commands(arms: Sequence[Arm]) -> Markup:
    """The best arms: on validation, on the test part, and how to run the best seed of each again."""
    select = chosen(arms)
    test = select or reports.columns(arms[0].runs[0].result["metrics"])[0]
    some = arms[:BEST]
    told = f"The first {len(some)} of {len(arms)} settings; means over seeds, and the command of the best seed."
    parts = [tag("p", told, kind="soft")]
    for number, arm in enumerate(some, 1):
        shown = [("validation", select, mean(arm, f"validation_{select}"))] if select else []
        shown += [("test", test, mean(arm, test))]
        numbers = ", ".join(f"{part} {name} {reports.number(value)}" for part, name, value in shown)
        parts += [tag("h3", f"{number}. {arm.name}"), tag("p", numbers), tag("pre", _top(arm).result["command"])]
    return join(parts)


def results(found: Several, arms: Sequence[Arm]) -> Markup:
    """Mean ± standard deviation over seeds, the best in bold where that is more than noise."""
    rows = tabulation.rows(arms)
    columns = tabulation.columns(rows, found.head.get("columns", []))
    baselines = len(rows) - len(arms)
    lines = [[row.name, *map(_cell, cells)] for row, cells in zip(rows, typesetting.cells(rows, columns), strict=True)]
    shown = lines if len(arms) <= MOST else lines[:MOST] + lines[len(arms) :]
    told = typesetting.caption(rows)
    if len(shown) < len(lines):
        told += f" The {MOST} best of {len(arms)} settings; trials.csv has all."
    return join([table(["", *columns], shown, quiet=baselines), tag("p", told, kind="soft")])


def _cell(cell: typesetting.Cell) -> Markup:
    value = tag("b", cell.mean) if cell.bold else elements.markup(cell.mean)
    return join([value, tag("span", f"± {cell.sd}", kind="sd")]) if cell.sd else value


def curves(arms: Sequence[Arm]) -> Markup:
    """Validation by step."""
    select = chosen(arms)
    if not select:
        return Markup("")
    some = arms[:DRAWN]
    told = f"Validation {select} by step: mean over seeds, with a band of one standard deviation"
    told += "." if len(some) == len(arms) else f"; the best {DRAWN} of {len(arms)} settings."
    return elements.drawn(charts.curves(some, select), ".svg", told)


def swept(found: Several) -> Markup:
    """Metrics of validation and of folding against each field that was swept, a dot a trial."""
    names = dict.fromkeys(name for trial in found.head.get("trials", []) for name in trial["overrides"])
    every = [one for arm in found.arms for one in arm.runs]
    flat = [folders.settings(one) for one in every]
    values = {name: [one[name] for one in flat] for name in names if name != "seed"}
    values = {name: given for name, given in values.items() if len(set(given)) > 1}
    if not values:
        return Markup("")
    select = chosen(found.arms)
    wanted = [f"validation_{select}"] if select else reports.columns(every[0].result["metrics"])[:1]
    wanted += [name for name in reports.columns(every[0].result["metrics"]) if name.startswith(significance.LOWER)][:1]
    metrics = {name: [one.result["metrics"].get(name, np.nan) for one in every] for name in wanted}
    told = "Each metric against each swept setting: a dot a trial, the line through the means."
    shown = {name.replace("validation_", "validation "): numbers for name, numbers in metrics.items()}
    return elements.drawn(charts.against(values, shown), ".svg", told)


def portraits(found: Several, arms: Sequence[Arm]) -> Markup:
    """The pictures of the best run of a sweep, and of every arm of a study: where groups folded is to be seen there."""
    first = join([tag("h3", arms[0].name), run.pictures(_top(arms[0]).folder)])
    if "trials" in found.head or len(arms) == 1:
        return first
    others = [join([tag("h3", arm.name), run.pictures(_top(arm).folder)]) for arm in arms[1:]]
    return join([first, elements.folded(f"the other {len(others)}", *others)])


def failures(found: Several) -> Markup:
    """Trials without a result, and why."""
    if not found.failures:
        return Markup("")
    return table(["trial", "setting", "status", "error"], [list(one) for one in found.failures], "l")


def timing(arms: Sequence[Arm]) -> Markup:
    """Seconds of training, compiling and judging by setting, means over seeds."""
    names = ["train_s", "compile_s", "evaluate_s", "folding_s", "examples_per_s"]
    rows = [[arm.name, *(mean(arm, name, "timing") for name in names)] for arm in arms[:MOST]]
    return table(["", *names], rows)


def trials(found: Several) -> Markup:
    """Every trial of a sweep, folded away."""
    every: Sequence[Mapping[str, Any]] = found.head.get("trials", [])
    if not every:
        return Markup("")
    names = list(dict.fromkeys(name for trial in every for name in trial["overrides"]))
    rows = [
        [trial["name"], trial["status"], *(settings.text(trial["overrides"].get(name, "")) for name in names),
         float(trial.get("seconds") or 0.0)]
        for trial in every
    ]  # fmt: skip
    header = ["trial", "status", *names, "seconds"]
    return elements.folded(f"all {len(every)} trials", table(header, rows, "l" * (len(header) - 1) + "r"))


def _top(arm: Arm) -> folders.Run:
    """The arm's seed that is best on validation; without it the first."""
    select = chosen([arm])
    if not select:
        return arm.runs[0]
    toward = significance.direction(select)
    return max(arm.runs, key=lambda one: toward * one.result["metrics"][f"validation_{select}"])


def _title(found: Several) -> str:
    return f"{'Sweep' if 'trials' in found.head else 'Study'} {found.folder.resolve().name}"


def _head(found: Several, title: str) -> list[Markup]:
    return [tag("h1", title), tag("pre", found.head["command"])]


def _counts(found: Several) -> Markup:
    done = sum(len(arm.runs) for arm in found.arms)
    data = found.arms[0].runs[0].result["data"]
    seeds = len({one.result["seed"] for arm in found.arms for one in arm.runs})
    failed = f", {len(found.failures)} without a result" if found.failures else ""
    told = f"{data['name']} · {len(found.arms)} settings, {seeds} seeds, {done} runs completed{failed}"
    return tag("p", told, kind="soft")


def _summary(found: Several) -> Markup:
    """The table of a measurement."""
    columns = found.head["columns"]

    def shown(row: Mapping[str, Any]) -> list[Markup]:
        pairs = [(row[one]["mean"], row[one]["sd"]) if one in row else (None, None) for one in columns]
        return [_cell(typesetting.Cell(reports.number(one), reports.number(sd), False)) for one, sd in pairs]

    rows = [[name, *shown(row)] for name, row in found.head["rows"].items()]
    told = f"Mean ± standard deviation over seeds {', '.join(map(str, found.head['seeds']))}."
    return join([table(["", *columns], rows), tag("p", told, kind="soft")])


def _drawn(found: Several) -> Markup:
    return elements.picture(found.folder / "study.png", "The study's own picture.")
