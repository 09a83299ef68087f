"""A run: a config in, a trained model, an honest evaluation beside baselines, and a run folder out."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from recjax import (
    cards,
    checkpoints,
    configs,
    diagnose,
    evaluate,
    fields,
    fit,
    folders,
    interruption,
    judging,
    offenders,
    pairs,
    parameters,
    plots,
    provenance,
    queries,
    reports,
    resume,
    runs,
    significance,
    slices,
    tensorboard,
)
from recjax.clock import Clock
from recjax.errors import DivergedError, Interrupted
from recjax.pages import run as page
from recjax.preparation import Prepared, prepare
from recjax.provenance import environment
from recjax.types import Params


class Run(NamedTuple):
    """A run with a folder."""

    prepared: Prepared
    folder: pathlib.Path
    head: dict[str, Any]  # what result.json says of it, whatever it finds
    before: dict[str, Any]  # fingerprints of the tables' rows, to see which were trained

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for a run to go on."""
        named = {name: self.head[name] for name in ("experiment", "config")}
        return named | {"data": self.head["data"]["fingerprint"]}

    @property
    def banner(self) -> str:
        """What a person reads first."""
        data = self.head["data"]
        counts = ", ".join(f"{data[one]:,} {one}" for one in ("queries", "items", "interactions"))
        return f"{self.head['experiment']} on {data['name']}: {counts} -> {self.folder}\n{cards.line(data)}"


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
    listener: interruption.Listener | None = None,
    profile: bool = False,
) -> Outcome:
    """Trains, judges and reports; in the folder of the same run it goes on where that stopped.

    Args:
        name: of the experiment, for the folder and the result.
        workdir: the run folder; by default the next free runs/NAME-1, -2, …
        echo: gets what a person should read.
        command: that the result names; by default launch.py's for this config.
        board: the scalars are written for TensorBoard too.
        listener: hears signals; None: nothing but its end stops the run.
        profile: a trace of some blocks is written into the folder.

    Raises:
        InputError: before anything is written.
        Interrupted: the listener heard a signal; what was done is saved.
        DivergedError: a number was not finite; `result.json` then says where.
    """
    if board:
        tensorboard.require()
    prepared = prepare(config)
    folder = resume.folder(workdir, name)
    with resume.alone(folder):
        fresh = not (folder / folders.CONFIG).exists()
        opened = open_run(prepared, name, folder, command)
        if result := None if fresh else resume.completed(folder, opened.identity):
            rows = {config.model.name: result["metrics"], **result["baselines"]}
            echo(reports.table(rows, reports.columns(result["metrics"])))
            echo(f"{folder} is completed: nothing is left to do")
            return Outcome(result, parameters.whole(prepared.start.state.params, parameters.load(str(folder))))
        echo(opened.banner)
        earlier = None
        if not fresh:
            earlier = resume.begin(folder, opened.identity, environment(), prepared.start.state, echo)
        listener = listener or interruption.Listener()
        place = folder / "profile" if profile else None
        with failing(opened), listener.waiting():
            fitted, clock = _train(opened, earlier, echo, listener, place, board)
        with failing(opened):
            return finish(opened, fitted, clock, echo)


def open_run(prepared: Prepared, name: str, folder: pathlib.Path, command: str | None = None) -> Run:
    """Writes config.json into the folder of a run, where there is none.

    `command` is that of launch.py for this config by default.
    """
    settings = dataclasses.asdict(prepared.config)
    if not (folder / folders.CONFIG).exists():
        runs.write_json(folder / folders.CONFIG, {"experiment": name, **settings})
    seed = prepared.config.seed
    command = command or fields.command(prepared.config, configs.Config())
    head = {"experiment": name, "command": command, "config": settings, "seed": seed, "data": provenance.data(prepared)}
    before = diagnose.fingerprints(prepared.start.state.params.tables)
    return Run(prepared, folder, head | {"environment": environment()}, before)


@contextlib.contextmanager
def failing(run: Run) -> Iterator[None]:
    """Whatever goes wrong inside is written into result.json, and raised again; a run that is to go on has none."""
    try:
        yield
    except Interrupted:
        raise
    except BaseException as error:
        where = {"step": error.step, "term": error.term} if isinstance(error, DivergedError) else {}
        text = str(error) if isinstance(error, DivergedError) else repr(error)
        runs.write_json(run.folder / folders.RESULT, {"status": "failed", **run.head, **where, "error": text})
        raise


def _train(
    run: Run,
    earlier: checkpoints.Checkpoint | None,
    echo: Callable[[str], None],
    stop: Callable[[], bool],
    profile: pathlib.Path | None,
    board: bool,
) -> tuple[fit.Fit, Clock]:
    """Trains, with checkpoints."""
    (config, _, split, start), folder, clock = run.prepared, run.folder, Clock()
    log = functools.partial(runs.append_line, folder / folders.LINES)
    before = earlier.about["progress"]["lines"] if earlier else ()
    about = {**run.identity, "environment": run.head["environment"]}
    with (
        tensorboard.beside(log, folder, before) if board else contextlib.nullcontext(log) as each,
        contextlib.closing(checkpoints.Saver(folder, config.checkpoint, about)) as saver,
    ):
        own = functools.partial(fit.fit, log=each, echo=echo, earlier=earlier, saver=saver, stop=stop, profile=profile)
        return own(config, start, split.validation, clock), clock


def finish(run: Run, fitted: fit.Fit, clock: Clock, echo: Callable[[str], None]) -> Outcome:
    """Judges what training found on the test part, beside baselines, and writes everything into the run's folder."""
    (config, _, split, start), folder, head, before = run
    progress = fitted.progress
    runs.write_arrays(folder / parameters.ARRAYS, parameters.flatten(fitted.params))
    test = judging.test(config, start, split.test, fitted.params, clock)
    ranking = test.rank(fitted.params, progress.best_step)
    scores, own = test.folding.measure(ranking, start.retriever.score)
    found = {config.model.name: evaluate.means(ranking, split.test.known, config.evaluate) | own.found}
    arrays = queries.arrays(ranking, split.test.known, config.evaluate)
    for name, baseline in test.baselines.items():
        found[name] = baseline.metrics
        arrays |= {f"{name}/{key}": value for key, value in baseline.queries.items()}
    runs.write_arrays(folder / folders.QUERIES, arrays)
    _draw(folder / "plots", run.prepared, fitted, ranking, scores)
    with clock.time("diagnosis_s"):
        factors, drawn, _ = test.folding
        spurious = offenders.worst(ranking, split.test.known, factors, drawn, start.retriever.score)
        diagnosis = diagnose.report(ranking, split, before, fitted.params.tables)
        diagnosis["negatives"] = start.examine(start.knobs, start.key, fitted.params, fitted.sampler, split)
    if progress.best is not None:
        found[config.model.name][f"validation_{fitted.select}"] = progress.best
    rate = progress.step / clock["train_s"]
    timing = {**clock, "steps_per_s": rate, "examples_per_s": rate * start.examples}
    timing = {name: round(value, 3) for name, value in timing.items()}
    echo(reports.table(found, reports.columns(found[config.model.name])))
    interval = significance.intervals(ranking.metrics)
    echo(reports.ranges(interval))
    echo(reports.errors(own.found, own.error))
    for reason in own.refused.values():
        echo(f"refused: {reason}")
    runs.write_csv(folder / folders.OFFENDERS, offenders.columns(split.test.known), spurious)
    told = ":" if spurious else ": nothing spurious"
    echo(f"worst offenders, {len(spurious)} in {folder / folders.OFFENDERS}{told}")
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
        "interval": interval,
        "slices": slices.slices(ranking, split.test),
        "standard_error": own.error,
        "refused": own.refused,
        "diagnosis": diagnosis,
        "baselines": found,
        "timing": timing,
    }
    page.write(folder, result)
    runs.write_json(folder / folders.RESULT, result)
    return Outcome(result, fitted.params)


def _draw(
    folder: pathlib.Path, prepared: Prepared, fitted: fit.Fit, ranking: evaluate.Ranking, sampled: pairs.PairScores
) -> None:
    folder.mkdir(exist_ok=True)
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
