"""The loop around the step: blocks of steps, evaluations on validation, and the best parameters so far."""

import itertools
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from recjax import configs, evaluate, fields, methods, pairs, relatedness, reports, train
from recjax.errors import DivergedError, InputError
from recjax.types import Dataset, HeldOut, Params


class Clock(dict[str, float]):
    """Seconds by name."""

    @contextmanager
    def time(self, name: str):
        """Adds the seconds that the block takes to `name`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - begin

    def compile(self, function: Callable, *arguments: Any, donate: tuple[int, ...] = ()) -> Callable:
        """Compiles for these arguments, ahead of the first call, so that a timing is of running alone."""
        with self.time("compile_s"):
            return jax.jit(function, donate_argnums=donate).lower(*arguments).compile()


class Fit(NamedTuple):
    """What training found."""

    params: Params  # of the best step
    best_step: int
    best: float | None  # the metric that chose, at that step; None without validation
    steps: int  # done
    select: str  # the metric that chose
    lines: list[dict[str, Any]]  # of metrics.jsonl
    sampler: Any  # the last state of it


class Fold(NamedTuple):
    """What a model's scores of the pairs are, and tell."""

    scores: pairs.PairScores
    measured: pairs.Measured


class Folding(NamedTuple):
    """How folding is measured on a held-out part, of any model of its data."""

    factors: relatedness.Factors
    pairs: pairs.Pairs
    measure: Callable[[evaluate.Ranking, Callable], Fold]  # (ranking, score)


def start(config: configs.Config, dataset: Dataset) -> methods.Start:
    """Everything before the first step, as a function of the seed.

    A step is traced once, so that parts that do not fit together fail here and not in a run.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    method = fields.resolve("method", config.train.method, fields.members(methods))
    found = method(config, dataset)
    if not isinstance(found, methods.Start):
        raise InputError(f"train.method={config.train.method!r} gave {found!r}; wanted a recjax.methods.Start")
    jax.eval_shape(found.advance, found.knobs, found.key, found.state, found.data)
    return found


def fit(
    config: configs.Config,
    start: methods.Start,
    validation: HeldOut | None,
    interactions: int,
    clock: Clock,
    *,
    log: Callable[[dict[str, Any]], None],
    echo: Callable[[str], None],
) -> Fit:
    """Trains until the epochs are done, or until `patience` evaluations on validation brought nothing better.

    Args:
        validation: None: every epoch is done and the last parameters are kept.
        interactions: E, how many examples make an epoch.
        log: gets a line for each block of steps and for each evaluation.
        echo: gets what a person should read.

    Raises:
        DivergedError: a term of the objective, the gradient or a score is not finite; the block was logged before.
    """
    settings, select = config.train, config.evaluate.select
    if validation is not None and validation.candidates is not None:
        select = f"sampled_{select}"
    knobs, key, state, data = start.knobs, start.key, start.state, start.data
    judge = None
    if validation is not None:
        judgement, serving = evaluate.prepare(validation, config.evaluate.batch), start.serving(validation)
        judge = judging(config, start.retriever, (state.params, serving), judgement, clock)
        fold = folding(config, validation, config.evaluate.pairs // 2, clock)
    blocks: dict[int, Callable] = {}
    schedule = _schedule(settings, interactions / start.examples)
    lines: list[dict[str, Any]] = []
    best, best_step, stale, params = -np.inf, 0, 0, state.params

    def record(line: dict[str, Any]) -> None:
        lines.append(line)
        log(line)

    with tqdm(total=schedule[-1][1], unit="step", mininterval=0.5 if sys.stderr.isatty() else 60.0) as bar:
        for first, last, judged in schedule:
            if last - first not in blocks:
                run = train.block(start.advance, last - first)
                blocks[last - first] = clock.compile(run, knobs, key, state, data, donate=(2,))
            begin = clock.get("train_s", 0.0)
            with clock.time("train_s"):
                state, metrics = blocks[last - first](knobs, key, state, data)
                terms = {name: np.asarray(value) for name, value in metrics.items()}
            means = {name: float(value.mean()) for name, value in terms.items()}
            record({"step": last, **means, "seconds": round(clock["train_s"] - begin, 4)})
            _require_finite(first, terms)
            bar.update(last - first)
            if judge is None:
                best_step, params = last, state.params
            if judge is None or validation is None or not judged:
                continue
            ranking = judge((state.params, serving), last)
            found = evaluate.means(ranking, validation.known, config.evaluate)
            folds = fold.measure(ranking, start.retriever.score).measured
            record({"step": last, "split": "validation", **found, **folds.found, "standard_error": folds.error})
            stale += 1
            if found[select] > best:
                best, best_step, stale = found[select], last, 0
                params = jax.tree.map(jnp.copy, state.params)  # the state's own buffers are donated
            bar.clear()
            echo(f"step {last:,}: loss {means['loss']:.6g}, validation {select} {reports.number(found[select])}")
            if stale == settings.patience:
                break
    return Fit(params, best_step, best if judge else None, last, select, lines, state.sampler)


def judging(
    config: configs.Config, retriever: evaluate.Retriever, params: Any, judgement: evaluate.Judgement, clock: Clock
) -> Callable[[Any, int], evaluate.Ranking]:
    """Compiles the ranking of a held-out part: (params, step) -> Ranking, for params like these.

    Raises:
        DivergedError: later, where an embedding or a score is not finite; it names the step.
    """
    ranker = evaluate.ranker(retriever, config.evaluate, config.model.history)
    compiled = clock.compile(ranker, params, judgement)

    def judge(params: Any, step: int) -> evaluate.Ranking:
        with clock.time("evaluate_s"):
            ranking = evaluate.rank(compiled, params, judgement)
        if ranking is None:
            raise DivergedError(step, "scores")
        return ranking

    return judge


def folding(config: configs.Config, held: HeldOut, size: int, clock: Clock) -> Folding:
    """Draws the pairs of a held-out part on which folding is measured.

    Args:
        size: that many queries by that many items.
    """
    with clock.time("relatedness_s"):
        factors = relatedness.resolve(config.evaluate)(held.known, config.evaluate)
        drawn = pairs.draw(held, factors, size)
    scorers: dict[Any, Callable] = {}

    def measure(ranking: evaluate.Ranking, score: Callable) -> Fold:
        shapes = score, ranking.queries.shape, ranking.items.shape
        if shapes not in scorers:
            scorers[shapes] = clock.compile(pairs.scorer(score), ranking.queries, ranking.items, drawn.places)
        with clock.time("folding_s"):
            scores = pairs.score(drawn, ranking, scorers[shapes])
            return Fold(scores, pairs.measure(drawn, scores))

    return Folding(factors, drawn, measure)


def _schedule(settings: configs.Train, epoch: float) -> list[tuple[int, int, bool]]:
    """Blocks of steps as (first, last, whether an evaluation follows); the last one may be shorter.

    Args:
        epoch: in steps.
    """
    total = max(1, round(settings.epochs * epoch))
    between = max(1, round(settings.evaluate * epoch))
    block = min(settings.block, between)
    every = round(between / block)
    edges = [*range(0, total, block), total]
    return [
        (first, last, number % every == 0 or last == total)
        for number, (first, last) in enumerate(itertools.pairwise(edges), 1)
    ]


def _require_finite(first: int, terms: dict[str, np.ndarray]) -> None:
    bad = {name: int(np.argmin(np.isfinite(value))) for name, value in terms.items() if not np.isfinite(value).all()}
    if bad:
        # The gradient of a step whose terms are not finite is not either: the term is the cause.
        term = min(bad, key=lambda name: (bad[name], name == "gradient_norm"))
        raise DivergedError(first + bad[term] + 1, term)
