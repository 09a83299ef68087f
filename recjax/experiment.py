"""A run: a config in, a trained model, an honest evaluation beside baselines, and a run folder out."""

import dataclasses
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import recjax
from recjax import batches, configs, datasets, evaluate, fields, folding, plots, reports, runs, splits, train
from recjax.errors import DivergedError
from recjax.interactions import check, fingerprint
from recjax.types import Dataset, Params, Split, State


class Prepared(NamedTuple):
    """A config that can be run: everything that bad input could break has been checked."""

    config: configs.Config
    dataset: Dataset
    split: Split
    parts: train.Parts


class Outcome(NamedTuple):
    """What a run found: the content of `result.json`, and the parameters of the best validation step."""

    result: dict[str, Any]
    params: Params


def prepare(config: configs.Config) -> Prepared:
    """Reads the data, splits it, and resolves all names.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    fields.check(config)
    reader = fields.resolve("data set", config.data.name, fields.members(datasets))
    splitter = fields.resolve("split", config.data.split, fields.members(splits))
    dataset = reader(config.data)
    check(dataset)
    split = splitter(dataset, config.data)
    parts = train.parts(config, split.train)
    evaluate.check(config.evaluate, len(dataset.vocabularies["item"]))
    return Prepared(config, dataset, split, parts)


def run(
    config: configs.Config, name: str = "experiment", workdir: str | None = None, echo: Callable[[str], None] = print
) -> Outcome:
    """Trains, judges and reports.

    Args:
        name: of the experiment, for the folder and the result.
        workdir: the run folder, which must not exist; by default the next free runs/NAME-1, -2, …
        echo: gets what a person should read.

    Raises:
        InputError: before anything is written.
        DivergedError: a number was not finite; the folder then says where.
    """
    prepared = prepare(config)
    folder = runs.create(workdir, name)
    started: dict[str, Any] = {"status": "failed", "experiment": name, "config": dataclasses.asdict(config)}
    runs.write_json(folder / "config.json", {"experiment": name, **dataclasses.asdict(config)})
    started |= {"seed": config.seed, "data": _describe(prepared), "environment": _environment()}
    echo(f"{name}: {started['data']} -> {folder}")
    try:
        outcome = _run(prepared, folder, started, echo)
    except DivergedError as error:
        runs.write_json(folder / "result.json", started | {"step": error.step, "term": error.term, "error": str(error)})
        raise
    except BaseException as error:
        runs.write_json(folder / "result.json", started | {"error": repr(error)})
        raise
    runs.write_json(folder / "result.json", outcome.result)
    return outcome


def _run(prepared: Prepared, folder: pathlib.Path, started: dict[str, Any], echo) -> Outcome:
    config, _, split, parts = prepared
    clock = {"compile_s": 0.0, "train_s": 0.0, "evaluate_s": 0.0}
    retriever = evaluate.model_retriever(parts.model, parts.score, config.evaluate.block)
    best_step, params, lines = _fit(prepared, retriever, folder, clock, echo)
    judgement = evaluate.prepare(split.test, config.evaluate.batch)
    factors = folding.relatedness(
        split.train.interactions,
        len(split.train.vocabularies["query"]),
        len(split.train.vocabularies["item"]),
        config.evaluate.rank,
    )
    found, refused = {}, {}
    baselines = {
        "popularity": (evaluate.popularity(), ()),
        "random": (evaluate.random(), jax.random.key(config.seed)),
    }
    for one, (judged, its_params) in {"model": (retriever, params), **baselines}.items():
        judge = _compile(evaluate.ranker(judged, config.evaluate, config.model.history), clock, its_params, judgement)
        begin = time.perf_counter()
        ranking = evaluate.rank(judge, its_params, judgement)
        clock["evaluate_s"] += time.perf_counter() - begin
        if ranking is None:
            raise DivergedError(best_step, "scores")
        found[one] = evaluate.means(ranking, split.test.known, config.evaluate)
        pairs = evaluate.pair_scores(ranking, split.test.known, judged.score, config.evaluate.pairs)
        folds, refused[one] = evaluate.folds(pairs, ranking, split.test.known, factors)
        found[one] |= folds
        if one == "model":
            _draw(folder / "plots", prepared, ranking, pairs, lines, best_step)
    runs.write_arrays(folder / "parameters.npz", flatten(params))
    result = started | {
        "status": "completed",
        "best_step": best_step,
        "metrics": found.pop("model"),
        "refused": refused.pop("model"),
        "baselines": found,
        "timing": {name: round(value, 3) for name, value in clock.items()},
    }
    shown = reports.columns(result["metrics"])
    echo(reports.table({prepared.config.model.name: result["metrics"], **found}, shown))
    for reason in result["refused"].values():
        echo(f"refused: {reason}")
    echo(f"best step {best_step}; " + ", ".join(f"{k} {v:,.1f}" for k, v in clock.items()))
    return Outcome(result, params)


def _fit(prepared: Prepared, retriever, folder: pathlib.Path, clock, echo) -> tuple[int, Params, list[dict]]:
    """Trains; returns the best validation step, its parameters, and the lines of metrics.jsonl."""
    config, _, split, parts = prepared
    settings, select = config.train, config.evaluate.select
    knobs = {name: jnp.float32(value) for name, value in fields.knobs(config).items()}
    init_key, run_key = jax.random.split(jax.random.key(config.seed))
    data = batches.prepare(split.train, config.objective.positives)
    state: State = train.init(init_key, parts, knobs, data)
    judgement = evaluate.prepare(split.validation, config.evaluate.batch)
    ranker = evaluate.ranker(retriever, config.evaluate, config.model.history)
    judge = _compile(ranker, clock, state.params, judgement)
    advance = train.step(config, parts)
    compiled: dict[int, Callable] = {}
    epoch = len(split.train.interactions.query) / settings.batch
    total, every = max(1, round(settings.epochs * epoch)), max(1, round(settings.evaluate * epoch / settings.block))
    lines: list[dict] = []
    best, best_step, params = -np.inf, 0, state.params
    with tqdm(total=total, unit="step", mininterval=1.0) as bar:
        for number in range(-(-total // settings.block)):
            first = number * settings.block
            steps = min(settings.block, total - first)
            if steps not in compiled:
                compiled[steps] = _compile(train.block(advance, steps), clock, knobs, run_key, state, data, donate=2)
            begin = time.perf_counter()
            state, metrics = compiled[steps](knobs, run_key, state, data)
            metrics = {name: np.asarray(value) for name, value in metrics.items()}
            seconds = time.perf_counter() - begin
            clock["train_s"] += seconds
            line = {name: float(value.mean()) for name, value in metrics.items()}
            lines.append({"step": first + steps, **line, "seconds": round(seconds, 4)})
            runs.append_line(folder / "metrics.jsonl", lines[-1])
            _require_finite(first, metrics)
            bar.set_postfix(loss=f"{line['loss']:.4g}", refresh=False)
            bar.update(steps)
            if (number + 1) % every and first + steps < total:
                continue
            begin = time.perf_counter()
            ranking = evaluate.rank(judge, state.params, judgement)
            clock["evaluate_s"] += time.perf_counter() - begin
            if ranking is None:
                raise DivergedError(first + steps, "scores")
            judged = evaluate.means(ranking, split.validation.known, config.evaluate)
            lines.append({"step": first + steps, "split": "validation", **judged})
            runs.append_line(folder / "metrics.jsonl", lines[-1])
            bar.set_postfix(loss=f"{line['loss']:.4g}", **{select: f"{judged[select]:.4f}"}, refresh=False)
            if judged[select] > best:
                best, best_step = judged[select], first + steps
                params = jax.tree.map(jnp.copy, state.params)  # the state's own buffers are donated
    clock["steps_per_s"] = total / clock["train_s"]
    clock["examples_per_s"] = clock["steps_per_s"] * settings.batch
    return best_step, params, lines


def _compile(function: Callable, clock: dict[str, float], *arguments, donate: int | None = None) -> Callable:
    begin = time.perf_counter()
    jitted = jax.jit(function, donate_argnums=() if donate is None else (donate,))
    compiled = jitted.lower(*arguments).compile()
    clock["compile_s"] += time.perf_counter() - begin
    return compiled


def _require_finite(first: int, metrics: dict[str, np.ndarray]) -> None:
    bad = {name: int(np.argmin(np.isfinite(value))) for name, value in metrics.items() if not np.isfinite(value).all()}
    if bad:
        term = min(bad, key=lambda name: (bad[name], name == "gradient_norm"))
        raise DivergedError(first + bad[term] + 1, term)


def _draw(folder: pathlib.Path, prepared: Prepared, ranking, pairs, lines, best_step: int) -> None:
    folder.mkdir()
    groups = prepared.dataset.groups
    plots.curves(folder / "curves.png", lines, prepared.config.evaluate.select, best_step)
    plots.embeddings(
        folder / "embeddings.png",
        np.asarray(ranking.queries),
        np.asarray(ranking.items),
        None if groups is None else groups.query[ranking.query],
        None if groups is None else groups.item,
    )
    plots.scores(folder / "scores.png", pairs.observed, pairs.random)


def flatten(params: Params) -> dict[str, np.ndarray]:
    """Parameters by path, for a file: {"tables/item": …, "query/layers/0/kernel": …}."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def _describe(prepared: Prepared) -> dict[str, Any]:
    dataset = prepared.dataset
    return {
        "name": prepared.config.data.name,
        "queries": len(dataset.vocabularies["query"]),
        "items": len(dataset.vocabularies["item"]),
        "interactions": len(dataset.interactions.query),
        "order": "file" if dataset.interactions.time is None else "(time, row in the file)",
        "fingerprint": fingerprint(dataset),
    }


def _environment() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "device": str(jax.devices()[0].device_kind),
        "version": recjax.__version__,
    }
