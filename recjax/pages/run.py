"""The report of a run."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from recjax import folders, reports, runs
from recjax.pages import elements, settings
from recjax.pages.elements import Markup, join, section, table, tag

SHOWN = 25  # worst offenders
MEANING = {
    "collapse": "share of a query's list that another query's list has too; 1: the same list for everyone",
    "retrieved": "share of what is retrieved that is among the most popular items",
    "relevant": "the same of what is held out",
    "dead_rows": "share of a table's rows that training left as they were, or that are 0",
    "never_trained": "share without a training interaction",
    "negatives training_positives": "share of negatives that the query met in training",
    "negatives held_out_positives": "share of negatives that are held out for the query",
    "negatives candidates": "negatives that count against a row",
    "negatives effective_sample_size": "how many equal negatives would tell as much",
}


def write(folder: pathlib.Path, result: Mapping[str, Any]) -> pathlib.Path:
    """Writes report.html into the run's folder."""
    path = folder / folders.REPORT
    runs.write_text(path, page(folder, result))
    return path


def page(folder: pathlib.Path, result: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        folder: the run's, with its plots and offenders.csv.
        result: the content of result.json.
    """
    data = result["data"]
    counts = ", ".join(f"{data[one]:,} {one}" for one in ("queries", "items", "interactions"))
    steps = f"best step {result['best_step']:,} of {result['steps']:,}"
    flat = folders.flat(result["config"])
    return elements.page(
        result["experiment"],
        tag("h1", result["experiment"]),
        tag("p", f"{flat['model.name']} on {data['name']}: {counts} · seed {result['seed']} · {steps}", kind="soft"),
        tag("pre", result["command"]),
        tiles(result),
        section("Test part, beside baselines", metrics(result), pictures(folder)),
        section("For whom", sliced(result)),
        section("Diagnosis", diagnosis(result)),
        section("Worst offenders", offenders(folder)),
        section("Time", timing(result["timing"])),
        section("Settings", settings.sections(flat)),
        section("Data and environment", about(result)),
    )


def tiles(result: Mapping[str, Any]) -> Markup:
    """The numbers to see first, each beside popularity's."""
    ours, popularity = result["metrics"], result["baselines"].get("popularity", {})
    names = reports.columns(ours)
    firsts = [
        next((name for name in names if name.removeprefix("sampled_").startswith(one)), None)
        for one in ("recall@", "ndcg@", "coverage@", "cross_group_share@", "folding_excess")
    ]
    return tag(
        "div",
        *(
            elements.tile(
                name, ours[name], f"popularity {reports.number(popularity[name])}" if name in popularity else ""
            )
            for name in firsts
            if name
        ),
        kind="tiles",
    )


def metrics(result: Mapping[str, Any]) -> Markup:
    """The table of the model and its baselines; the standard errors; what was refused."""
    rows = {result["config"]["model"]["name"]: result["metrics"], **result["baselines"]}
    names, every = reports.columns(result["metrics"]), list(result["metrics"])
    lines = [[name, *(row.get(one) for one in names)] for name, row in rows.items()]
    parts = [table(["", *names], lines, quiet=len(result["baselines"]))]
    if result["interval"]:
        parts.append(tag("p", reports.ranges(result["interval"]), kind="soft"))
    if result["standard_error"]:
        parts.append(tag("p", reports.errors(result["metrics"], result["standard_error"]), kind="soft"))
    parts += [tag("p", f"refused: {reason}", kind="soft") for reason in result["refused"].values()]
    turned = [[one, *(row.get(one) for row in rows.values())] for one in every]
    return join([*parts, elements.folded(f"all {len(every)} metrics", table(["", *rows], turned))])


def sliced(result: Mapping[str, Any]) -> Markup:
    """Who is served: each slice of the judged queries, part by part."""
    parts = []
    for name, rows in result["slices"].items():
        names = [one for one in next(iter(rows.values())) if one != "queries"]
        cells = [[label, f"{row['queries']:,.0f}", *(row[one] for one in names)] for label, row in rows.items()]
        parts.append(table([name, "queries", *names], cells))
    return join(parts)


def pictures(folder: pathlib.Path) -> Markup:
    """The curves; then the scores beside the embeddings."""
    plots = folder / "plots"
    scores = elements.picture(plots / "scores.png", "Scores of observed and of random pairs: apart is good.")
    points = elements.picture(
        plots / "embeddings.png", "Queries and items in the items' first two components, coloured by group where known."
    )
    curves = elements.picture(
        plots / "curves.png",
        "Training loss, the validation metric that chose the step (grey line), folding ± 2 errors.",
    )
    return join([curves, tag("div", scores, points, kind="pair") if scores or points else ""])


def diagnosis(result: Mapping[str, Any]) -> Markup:
    """Each number with what it means."""
    found = reports.flat(result["diagnosis"])
    rows = [[name, reports.number(value), _meaning(name)] for name, value in found.items()]
    return table(["", "value", "what it is"], rows, "lrl")


def _meaning(name: str) -> str:
    return next((told for start, told in MEANING.items() if name.startswith(start)), "")


def offenders(folder: pathlib.Path) -> Markup:
    """The first rows of offenders.csv."""
    path = folder / folders.OFFENDERS
    rows: Sequence[Mapping[str, str]] = folders.rows(path) if path.is_file() else []
    if not rows:
        return tag("p", "Nothing spurious was retrieved.")
    told = f"{len(rows)} retrieved items that have nothing to do with their query; the first {min(SHOWN, len(rows))}:"
    names = [name for name in rows[0] if name != "why"]
    left = next((number for number, name in enumerate(names) if name == "rank"), len(names))
    header = [*names[:left], "why", *names[left:]]
    shown = [[_short(row[name], name) for name in header] for row in rows[:SHOWN]]
    return join([tag("p", told, kind="soft"), table(header, shown, "l" * (left + 1) + "r")])


def _short(value: str, name: str) -> Any:
    return float(value) if name in ("score", "relatedness") else value


def timing(found: Mapping[str, float]) -> Markup:
    """Seconds with bars, then rates."""
    seconds = {name: value for name, value in found.items() if name.endswith("_s") and "_per_" not in name}
    longest = max(seconds.values(), default=0.0) or 1.0
    rows = [
        [
            name.removesuffix("_s"),
            f"{value:.2f}",
            Markup(f'<span class="bar" style="width:{16 * value / longest:.2f}rem"></span>'),
        ]
        for name, value in seconds.items()
    ]
    rates = [f"{value:,.0f} {name.replace('_per_s', ' a second')}" for name, value in found.items() if "_per_" in name]
    return join([table(["", "seconds", ""], rows, "lrl"), tag("p", ", ".join(rates), kind="soft")])


def about(result: Mapping[str, Any]) -> Markup:
    """What a number may depend on."""
    rows = [[name, settings.text(value)] for part in ("data", "environment") for name, value in result[part].items()]
    return table(["", ""], rows, "l")
