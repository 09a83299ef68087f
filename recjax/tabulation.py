"""The rows of a table, out of the folders of runs, studies and sweeps."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from recjax import comparison, folders, reports, typesetting
from recjax.errors import InputError, unknown


def arms(places: Sequence[pathlib.Path]) -> list[folders.Arm]:
    """A run is an arm; a study or a sweep has several.

    Raises:
        InputError: a folder cannot be read, or there is no run.
    """
    several = [folders.several(place) for place in places if not folders.is_run(place)]
    runs = [folders.run(place) for place in places if folders.is_run(place)]
    found = [folders.Arm(name, [run]) for name, run in zip(comparison.names(runs), runs, strict=True)]
    found += [arm for one in several for arm in one.arms]
    if not found:
        raise InputError(f"{', '.join(map(str, places))}: no runs there; wanted folders of runs, studies or sweeps")
    return found


def rows(found: Sequence[folders.Arm]) -> list[typesetting.Row]:
    """A row for each arm, and for each baseline of the first one."""
    single = all(len(arm.runs) == 1 for arm in found)
    kept = [folders.queries(arm.runs[0].folder) if single else {} for arm in found]
    first, told = found[0], [json.dumps(comparison.judged(arm.runs[0])) for arm in found]
    own = [
        typesetting.Row(
            arm.name,
            {run.result["seed"]: _finite(run.result["metrics"]) for run in arm.runs},
            {name: arrays[name] for name in comparison.per_query(arrays)},
            judged,
        )
        for arm, arrays, judged in zip(found, kept, told, strict=True)
    ]
    return own + [
        typesetting.Row(
            name,
            {run.result["seed"]: _finite(run.result["baselines"][name]) for run in first.runs},
            {key.split("/", 1)[1]: value for key, value in kept[0].items() if key.startswith(f"{name}/")},
            told[0],
        )
        for name in first.runs[0].result["baselines"]
    ]


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Without what was not finite, which JSON has as null."""
    return {name: value for name, value in metrics.items() if value is not None}


def own(places: Sequence[pathlib.Path]) -> list[str]:
    """The metrics that a study's table has, where a single study is asked for."""
    if len(places) > 1 or folders.is_run(places[0]):
        return []
    return list(folders.several(places[0]).head.get("columns", []))


def columns(found: Sequence[typesetting.Row], wanted: Sequence[str] = ()) -> list[str]:
    """The metrics that a table shows.

    Raises:
        InputError: one is wanted that no row has.
    """
    known = {name: 0.0 for row in found for values in row.values.values() for name in values}
    for name in wanted:
        if name not in known:
            raise unknown("metric in --columns", name, known)
    return list(wanted) or reports.columns(known)
