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
from jaxtyping import Array
from tqdm import tqdm

from recjax import batches, configs, embed, evaluate, fields, reports, train
from recjax.errors import DivergedError
from recjax.types import Data, Dataset, HeldOut, Key, Params, State


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


class Start(NamedTuple):
    """All that training begins with. The state is donated to the first block: a start serves once."""

    parts: train.Parts
    knobs: dict[str, Array]
    key: Key  # of the run
    state: State
    data: Data


class Fit(NamedTuple):
    """What training found."""

    params: Params  # of the best step
    best_step: int
    steps: int  # done
    lines: list[dict[str, Any]]  # of metrics.jsonl


def start(config: configs.Config, dataset: Dataset) -> Start:
    """Everything before the first step, as a function of the seed.

    A step is traced once, so that parts that do not fit together fail here and not in a run.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    parts = train.parts(config, dataset)
    knobs = {name: jnp.float32(value) for name, value in fields.knobs(config).items()}
    init_key, key = jax.random.split(jax.random.key(config.seed))
    data = batches.prepare(dataset, config.objective.positives)
    params = jax.jit(lambda key: embed.init(key, parts.model))(init_key)
    state = train.init(params, parts, knobs, data)
    jax.eval_shape(train.step(config, parts), knobs, key, state, data)
    return Start(parts, knobs, key, state, data)


def fit(
    config: configs.Config,
    start: Start,
    retriever: evaluate.Retriever,
    validation: HeldOut,
    clock: Clock,
    *,
    log: Callable[[dict[str, Any]], None],
    echo: Callable[[str], None],
) -> Fit:
    """Trains until the epochs are done, or until `patience` evaluations on validation brought nothing better.

    Args:
        log: gets a line for each block of steps and for each evaluation.
        echo: gets what a person should read.

    Raises:
        DivergedError: a term of the objective, the gradient or a score is not finite; the block was logged before.
    """
    settings, select = config.train, config.evaluate.select
    parts, knobs, key, state, data = start
    judgement = evaluate.prepare(validation, config.evaluate.batch)
    judge = clock.compile(evaluate.ranker(retriever, config.evaluate, config.model.history), state.params, judgement)
    advance = train.step(config, parts)
    blocks: dict[int, Callable] = {}
    schedule = _schedule(settings, len(data.interactions.query))
    lines: list[dict[str, Any]] = []
    best, best_step, stale, params = -np.inf, 0, 0, state.params

    def record(line: dict[str, Any]) -> None:
        lines.append(line)
        log(line)

    with tqdm(total=schedule[-1][1], unit="step", mininterval=0.5 if sys.stderr.isatty() else 60.0) as bar:
        for first, last, judged in schedule:
            if last - first not in blocks:
                run = train.block(advance, last - first)
                blocks[last - first] = clock.compile(run, knobs, key, state, data, donate=(2,))
            begin = clock.get("train_s", 0.0)
            with clock.time("train_s"):
                state, metrics = blocks[last - first](knobs, key, state, data)
                terms = {name: np.asarray(value) for name, value in metrics.items()}
            means = {name: float(value.mean()) for name, value in terms.items()}
            record({"step": last, **means, "seconds": round(clock["train_s"] - begin, 4)})
            _require_finite(first, terms)
            bar.update(last - first)
            if not judged:
                continue
            with clock.time("evaluate_s"):
                ranking = evaluate.rank(judge, state.params, judgement)
            if ranking is None:
                raise DivergedError(last, "scores")
            found = evaluate.means(ranking, validation.known, config.evaluate)
            record({"step": last, "split": "validation", **found})
            stale += 1
            if found[select] > best:
                best, best_step, stale = found[select], last, 0
                params = jax.tree.map(jnp.copy, state.params)  # the state's own buffers are donated
            bar.clear()
            echo(f"step {last:,}: loss {means['loss']:.4f}, validation {select} {reports.number(found[select])}")
            if stale == settings.patience:
                break
    return Fit(params, best_step, last, lines)


def _schedule(settings: configs.Train, interactions: int) -> list[tuple[int, int, bool]]:
    """Blocks of steps as (first, last, whether an evaluation follows); the last one may be shorter."""
    epoch = interactions / settings.batch
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
