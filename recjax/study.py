"""A study: several configs, several seeds each, one table of means and spreads. Or rows that a file measures itself."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from recjax import (
    configs,
    experiment,
    fields,
    folders,
    interruption,
    kept,
    preparation,
    provenance,
    reports,
    resume,
    runs,
)
from recjax.errors import InputError
from recjax.pages import several


@dataclasses.dataclass(frozen=True)
class Study:
    """What an experiment file's `get_study` gives.

    Attributes:
        arms: a config for each row of the table.
        seeds: every arm is run with each.
        columns: the metrics of the table.
        draw: writes the picture of what `run` found to a path.
        published: a source's numbers, row -> metric -> number; a row may be one of the arms.
    """

    arms: Mapping[str, configs.Config]
    seeds: tuple[int, ...]
    columns: tuple[str, ...]
    draw: Callable[[pathlib.Path, dict[str, Any]], None]
    published: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What an experiment file's `get_measurement` gives: rows that are no runs, such as a simulation's.

    Attributes:
        measure: from the config, with the seed in it, to row -> metric -> number.
        config: what `measure` may read; the command line overrides its fields.
        seeds: `measure` is called with each.
        columns: the metrics of the table.
        draw: writes the picture of what was found to a path.
    """

    measure: Callable[[configs.Config], Mapping[str, dict[str, float]]]
    config: configs.Config
    seeds: tuple[int, ...]
    columns: tuple[str, ...]
    draw: Callable[[pathlib.Path, dict[str, Any]], None]


def run(
    study: Study,
    name: str,
    command: str,
    workdir: str | None,
    save: str | None,
    echo: Callable[[str], None] = print,
    *,
    only: Sequence[str] = (),
    board: bool = False,
    listener: interruption.Listener | None = None,
) -> dict[str, Any]:
    """Runs every arm with every seed, and writes the table as study.json and the picture as study.png.

    In the folder of the same study completed runs are not run again, and one that was stopped goes on.

    Args:
        command: that the result names, so that a reader can repeat it.
        workdir: the folder of the study and of its runs; by default the next free runs/NAME-1, -2, …
        save: where the two files are to be copied, without their endings: results/folding.
        only: the arms to run; of the others SAVE.json keeps what is there. By default all.
        board: every run writes its scalars for TensorBoard too.
        listener: hears signals; None: nothing but its end stops the study.

    Raises:
        InputError: before anything is run; or a folder is of another run.
        Interrupted: the listener heard a signal; what was done is saved.
        DivergedError: a run diverged; the finished ones keep their folders.
    """
    _check(study, save)
    earlier = _earlier(study, only, save) if only else None
    own = {arm: {seed: folders.of_arm(arm, seed) for seed in study.seeds} for arm in study.arms}
    folder = _folder(workdir, name, {one for of_arm in own.values() for one in of_arm.values()})

    def outcome(arm: str, seed: int) -> dict[str, Any]:
        config, place = dataclasses.replace(study.arms[arm], seed=seed), str(folder / own[arm][seed])
        return experiment.run(config, f"{name}: {arm}", place, echo, board=board, listener=listener).result

    with resume.alone(folder):
        places = _places(folder, save)
        outcomes = {arm: [outcome(arm, seed) for seed in study.seeds] for arm in study.arms if arm in (only or own)}
    first = next(iter(outcomes.values()))
    rows = {arm: _summary([result["metrics"] for result in results]) for arm, results in outcomes.items()}
    rows |= {one: _summary([result["baselines"][one] for result in first]) for one in first[0]["baselines"]}
    timing = {arm: _summary([result["timing"] for result in results]) for arm, results in outcomes.items()}
    found = {
        "command": command,
        "seeds": list(study.seeds),
        "data": first[0]["data"],
        "environment": first[0]["environment"],
        "columns": list(study.columns),
        "rows": rows,
        "timing": timing,
        "curves": {arm: _curves([result["curve"] for result in results]) for arm, results in outcomes.items()},
        "best_steps": {arm: [result["best_step"] for result in results] for arm, results in outcomes.items()},
        "steps": {arm: [result["steps"] for result in results] for arm, results in outcomes.items()},
        "refused": {arm: [result["refused"] for result in results] for arm, results in outcomes.items()},
        "configs": {arm: results[0]["config"] for arm, results in outcomes.items()},
    }
    whole = kept.together(earlier, found, tuple(study.arms)) if earlier else found
    _write(places, found, whole, study, echo)
    if study.published:
        echo(reports.beside(whole["rows"], study.published))
    return whole


def measure(
    plan: Measurement,
    name: str,
    command: str,
    workdir: str | None,
    save: str | None,
    echo: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measures with every seed, and writes the table and the picture as `run` does.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    fields.check(plan.config)
    places = _places(runs.create(workdir, name), save)
    by_seed = []
    for seed in plan.seeds:
        by_seed.append(plan.measure(dataclasses.replace(plan.config, seed=seed)))
        echo(f"{name}: seed {seed} is done, {len(by_seed)} of {len(plan.seeds)}")
    found = {
        "command": command,
        "seeds": list(plan.seeds),
        "environment": experiment.environment(),
        "columns": list(plan.columns),
        "rows": {row: _summary([rows[row] for rows in by_seed]) for row in by_seed[0]},
        "config": dataclasses.asdict(plan.config),
    }
    _write(places, found, found, plan, echo)
    return found


def _check(study: Study, save: str | None) -> None:
    """Refuses, before anything is run, what would fail or be lost after it."""
    if save is not None and not pathlib.Path(save).name:
        raise InputError(f"--save={save} names no file; wanted a path without an ending, as results/mine")
    beside = {one for config in study.arms.values() for one in config.baselines.names}
    taken: dict[str, str] = {}
    for arm in study.arms:
        first = taken.setdefault(folders.of_arm(arm, 0), arm)
        if first != arm:
            reason = f"makes the same folders as that of arm {first!r}"
        elif arm in beside:
            reason = "is that of a baseline beside it"
        elif "/" in arm:
            reason = "has a /, and is that of folders"
        else:
            continue
        raise InputError(f"the name of arm {arm!r} {reason}; wanted another: change it in the study's file")
    for config in study.arms.values():
        preparation.prepare(config)


def _earlier(study: Study, only: Sequence[str], save: str | None) -> dict[str, Any]:
    arms = {arm: dataclasses.replace(config, seed=study.seeds[0]) for arm, config in study.arms.items()}
    data = provenance.data(preparation.prepare(next(iter(arms.values()))))["fingerprint"]
    return kept.read(save, only, arms, seeds=study.seeds, data=data, environment=provenance.environment())


def _folder(workdir: str | None, name: str, own: set[str]) -> pathlib.Path:
    """The folder of a study, a new one or one that holds nothing but what the study writes.

    Args:
        own: the names of its runs' folders.
    """
    path = pathlib.Path(workdir or "")
    if not workdir or not path.is_dir():
        return runs.create(workdir, name)
    written = own | {folders.STUDY, folders.PICTURE, folders.REPORT}
    odd = sorted(one.name for one in path.iterdir() if one.name.removesuffix(".partial") not in written)
    if odd:
        raise InputError(
            f"--workdir={workdir} exists and holds {odd[0]}, which is none of this study's; wanted the folder of the "
            "same study, or one that does not exist: name another"
        )
    return path


def _places(folder: pathlib.Path, save: str | None) -> list[pathlib.Path]:
    """Where the results go, without endings."""
    places = [folder / "study"] + ([pathlib.Path(save)] if save else [])
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
    return places


def _write(
    places: list[pathlib.Path],
    found: dict[str, Any],
    whole: dict[str, Any],
    plan: Study | Measurement,
    echo: Callable[[str], None],
) -> None:
    """Writes what was found into the study's folder, whose runs it is of, and the whole where it is to be saved."""
    for place, one in zip(places, (found, whole), strict=False):
        runs.write_json(place.with_name(place.name + ".json"), one)
        plan.draw(place.with_name(place.name + ".png"), whole)
    several.write(places[0].parent)
    echo(reports.summary(whole["rows"], plan.columns))


def _curves(curves: list[list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """At each validation that every seed came to, by its step, the summary of what was then known."""
    found = {}
    for points in zip(*curves, strict=False):  # a seed may have stopped before others
        step = points[0]["step"]
        found[str(step)] = _summary([{name: one for name, one in point.items() if name != "step"} for point in points])
    return found


def _summary(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation (of a sample) and values of each metric that every seed has."""
    found = {}
    for metric in results[0]:
        values = [result[metric] for result in results if metric in result]
        if len(values) == len(results):
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            found[metric] = {"mean": float(np.mean(values)), "sd": sd, "values": values}
    return found
