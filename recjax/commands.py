"""What launch.py does with folders that runs have left: compare them, set tables, write reports. No jax needed."""

import pathlib
from collections.abc import Callable, Mapping, Sequence

from recjax import comparison, folders, tabulation, typesetting
from recjax.errors import InputError, unknown
from recjax.pages import run, several

USAGE = {
    "compare": "compare RUN RUN [RUN …] [--columns=METRIC,METRIC]",
    "table": "table FOLDER [FOLDER …] [--format=markdown|latex] [--columns=METRIC,METRIC]",
    "report": "report FOLDER [FOLDER …]",
    "recommend": "recommend RUN --query=ID,ID | --history=ITEM,ITEM | --features=NAME=VALUE,… [--k=10] [--csv=FILE]"
    " [--config.data.path=FOLDER] [--config.model.newcomers=history|features] [--config.model.neighbors=20]",
}
FORMATS: Mapping[str, Callable] = {"markdown": typesetting.markdown, "latex": typesetting.latex}


def compare(arguments: Sequence[str]) -> str:
    """Each further run against the first, over queries."""
    places, options = parse("compare", arguments, ["columns"])
    if len(places) < 2:
        raise InputError(f"compare got one folder, {places[0]}; type: python launch.py {USAGE['compare']}")
    first, *others = map(folders.run, places)
    columns = _names(options)
    return "\n\n".join(comparison.text(first, one, comparison.compare(first, one, columns)) for one in others)


def table(arguments: Sequence[str]) -> str:
    """The runs, studies and sweeps in one table."""
    places, options = parse("table", arguments, ["columns", "format"])
    kind = options.get("format", "markdown")
    if kind not in FORMATS:
        raise unknown("format", kind, FORMATS)
    rows = tabulation.rows(tabulation.arms(places))
    told = typesetting.caption(rows)
    shown = FORMATS[kind](rows, tabulation.columns(rows, _names(options) or tabulation.own(places)))
    return f"{shown}\n\n{told}" if kind == "markdown" else f"% {told}\n{shown}"


def report(arguments: Sequence[str]) -> str:
    """Writes report.html into the folder of each run, study or sweep, and tells where."""
    places, _ = parse("report", arguments, [])
    return "\n".join(str(_written(place)) for place in places)


def _written(place: pathlib.Path) -> pathlib.Path:
    return run.write(place, folders.run(place).result) if folders.is_run(place) else several.write(place)


def parse(word: str, arguments: Sequence[str], known: Sequence[str]) -> tuple[list[pathlib.Path], dict[str, str]]:
    """Folders, and options by name.

    Raises:
        InputError: no folder, or an option that the word does not know.
    """
    places, options = [], {}
    for one in arguments:
        name, equals, value = one.partition("=")
        if not one.startswith("-"):
            places.append(pathlib.Path(one))
        elif name.lstrip("-") not in known or not equals:
            raise unknown(f"option of {word}", one, [f"--{name}=VALUE" for name in known])
        else:
            options[name.lstrip("-")] = value
    if not places:
        raise InputError(f"{word} got no folder; type: python launch.py {USAGE[word]}")
    return places, options


def _names(options: Mapping[str, str]) -> list[str]:
    return [name for name in options.get("columns", "").split(",") if name]
