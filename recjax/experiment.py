"""A run: a config in, a trained model, an honest evaluation beside baselines, and a run folder out."""

import contextlib
import dataclasses
import functools
import pathlib
import platform
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

import recjax
from recjax import (
    configs,
    diagnose,
    evaluate,
    fields,
    fit,
    folders,
    judging,
    offenders,
    pairs,
    parameters,
    plots,
    queries,
    reports,
    runs,
    tensorboard,
)
from recjax.clock import Clock
from recjax.errors import DivergedError
from recjax.interactions import fingerprint
from recjax.pages import run as page
from recjax.preparation import Prepared, prepare
from recjax.types import Params

OFFENDERS = "offenders.csv"


class Run(NamedTuple):
    """A run with a folder."""

    prepared: Prepared
    folder: pathlib.Path
    head: dict[str, Any]  # what result.json says of it, whatever it finds
    before: dict[str, Any]  # fingerprints of the tables' rows, to see which were trained

    @property
    def banner(self) -> str:
        """What a person reads first."""
        data = self.head["data"]
        counts = ", ".join(f"{data[one]:,} {one}" for one in ("queries", "items", "interactions"))
        return f"{self.head['experiment']} on {data['name']}: {counts} -> {self.folder}"


class Outcome(NamedTuple):
    """What a run found: the content of `result.json`, and the parameters of the best validation step."""

    result: dict[str, Any]
    params: Params


def run(
    config: configs.Config,
    name: str = "experiment",
    workdir: str | None = None,
    echo: Callable[[str], None] = print,
    *,
    command: str | None = None,
    board: bool = False,
) -> Outcome:
    """Trains, judges and reports.

    Args:
        name: of the experiment, for the folder and the result.
        workdir: the run folder, which must not exist; by default the next free runs/NAME-1, -2, …
        echo: gets what a person should read.
        command: that the result names; by default launch.py's for this config.
        board: the scalars are written for TensorBoard too.

    Raises:
        InputError: before anything is written.
        DivergedError: a number was not finite; `result.json` then says where.
    """
    if board:
        tensorboard.require()
    opened = open_run(prepare(config), name, runs.create(workdir, name), command)
    echo(opened.banner)
    with failing(opened):
        return finish(opened, *_train(opened, echo, board), echo)


def open_run(prepared: Prepared, name: str, folder: pathlib.Path, command: str | None = None) -> Run:
    """Writes config.json into the folder of a run; `command` is that of launch.py for this config by default."""
    settings = dataclasses.asdict(prepared.config)
    runs.write_json(folder / "config.json", {"experiment": name, **settings})
    seed = prepared.config.seed
    command = command or fields.command(prepared.config, configs.Config())
    head = {"experiment": name, "command": command, "config": settings, "seed": seed, "data": _describe(prepared)}
    before = diagnose.fingerprints(prepared.start.state.params.tables)
    return Run(prepared, folder, head | {"environment": environment()}, before)


@contextlib.contextmanager
def failing(run: Run) -> Iterator[None]:
    """Whatever goes wrong inside is written into result.json, and raised again."""
    try:
        yield
    except BaseException as error:
        where = {"step": error.step, "term": error.term} if isinstance(error, DivergedError) else {}
        text = str(error) if isinstance(error, DivergedError) else repr(error)
        runs.write_json(run.folder / parameters.RESULT, {"status": "failed", **run.head, **where, "error": text})
        raise


def _train(run: Run, echo: Callable[[str], None], board: bool) -> tuple[fit.Fit, Clock]:
    config, _, split, start = run.prepared
    clock, lines = Clock(), run.folder / "metrics.jsonl"
    interactions = len(split.train.interactions.query)
    log = functools.partial(runs.append_line, lines)
    with tensorboard.beside(log, run.folder) if board else contextlib.nullcontext(log) as each:
        return fit.fit(config, start, split.validation, interactions, clock, log=each, echo=echo), clock


def finish(run: Run, fitted: fit.Fit, clock: Clock, echo: Callable[[str], None]) -> Outcome:
    """Judges what training found on the test part, beside baselines, and writes everything into the run's folder."""
    (config, _, split, start), folder, head, before = run
    progress = fitted.progress
    runs.write_arrays(folder / parameters.ARRAYS, parameters.flatten(fitted.params))
    judged: dict[str, tuple[evaluate.Retriever, Any]] = {
        config.model.name: (start.retriever, (fitted.params, start.serving(split.test))),
        "popularity": (evaluate.popularity(), ()),
        "random": (evaluate.random(), jax.random.key(config.seed)),
    }
    test = evaluate.prepare(split.test)
    folding = judging.folding(config, split.test, config.evaluate.pairs, clock)
    found, folds = {}, {}
    arrays: dict[str, np.ndarray] = {}
    for name, (one, params) in judged.items():
        ranking = judging.ranking(config, one, params, test, clock)(params, progress.best_step)
        scores, folds[name] = folding.measure(ranking, one.score)
        found[name] = evaluate.means(ranking, split.test.known, config.evaluate) | folds[name].found
        kept = queries.arrays(ranking, split.test.known, config.evaluate)
        if one is start.retriever:
            arrays |= kept
            _draw(folder / "plots", run.prepared, fitted, ranking, scores)
            with clock.time("diagnosis_s"):
                spurious = offenders.worst(ranking, split.test.known, folding.factors, folding.pairs, one.score)
                diagnosis = diagnose.report(ranking, split, before, fitted.params.tables)
                diagnosis["negatives"] = start.examine(fitted.params, fitted.sampler, split)
        else:
            arrays |= {f"{name}/{key}": value for key, value in kept.items() if "@" in key}
    runs.write_arrays(folder / folders.QUERIES, arrays)
    if progress.best is not None:
        found[config.model.name][f"validation_{fitted.select}"] = progress.best
    rate = progress.step / clock["train_s"]
    timing = {**clock, "steps_per_s": rate, "examples_per_s": rate * start.examples}
    timing = {name: round(value, 3) for name, value in timing.items()}
    own = folds[config.model.name]
    echo(reports.table(found, reports.columns(found[config.model.name])))
    echo(reports.errors(own.found, own.error))
    for reason in own.refused.values():
        echo(f"refused: {reason}")
    runs.write_csv(folder / OFFENDERS, offenders.columns(split.test.known), spurious)
    echo(f"worst offenders, {len(spurious)} in {folder / OFFENDERS}" + (":" if spurious else ": nothing spurious"))
    if spurious:
        echo(reports.listing(spurious[:3]))
    echo("diagnosis: " + ", ".join(f"{name} {reports.number(one)}" for name, one in reports.flat(diagnosis).items()))
    echo(
        f"best step {progress.best_step:,} of {progress.step:,}; "
        + ", ".join(f"{k} {v:,.1f}" for k, v in timing.items())
    )
    result = {
        "status": "completed",
        **head,
        "best_step": progress.best_step,
        "steps": progress.step,
        "metrics": found.pop(config.model.name),
        "curve": reports.curve(progress.lines, fitted.select),
        "standard_error": own.error,
        "refused": own.refused,
        "diagnosis": diagnosis,
        "baselines": found,
        "timing": timing,
    }
    page.write(folder, result)
    runs.write_json(folder / parameters.RESULT, result)
    return Outcome(result, fitted.params)


def _draw(
    folder: pathlib.Path,
    prepared: Prepared,
    fitted: fit.Fit,
    ranking: evaluate.Ranking,
    sampled: pairs.PairScores,
) -> None:
    folder.mkdir()
    groups = prepared.dataset.groups
    progress = fitted.progress
    plots.curves(folder / "curves.png", progress.lines, fitted.select, progress.best_step)
    plots.embeddings(
        folder / "embeddings.png",
        np.asarray(ranking.queries),
        np.asarray(ranking.items),
        None if groups is None else groups.query[ranking.query],
        None if groups is None else groups.item,
    )
    plots.scores(folder / "scores.png", sampled.observed, sampled.random)


def _describe(prepared: Prepared) -> dict[str, Any]:
    dataset = prepared.dataset
    return {
        "name": prepared.config.data.name,
        "queries": len(dataset.vocabularies["query"]),
        "items": len(dataset.vocabularies["item"]),
        "interactions": len(dataset.interactions.query),
        "order": "unknown" if prepared.split.train.interactions.time is None else "(time, row in the source)",
        "fingerprint": fingerprint(dataset),
    }


def environment() -> dict[str, str]:
    """What a number may depend on beside the code."""
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "device": str(jax.devices()[0].device_kind),
        "version": recjax.__version__,
    }
