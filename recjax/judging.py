"""How a run judges its model on a held-out part: the ranking of the whole corpus, and folding."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from recjax import baselines, configs, evaluate, pairs, queries, relatedness, retrievers
from recjax.clock import Clock
from recjax.errors import DivergedError
from recjax.methods import Start
from recjax.shared import Shared
from recjax.types import HeldOut, Params


class Fold(NamedTuple):
    """What a model's scores of the pairs are, and tell."""

    scores: pairs.PairScores
    measured: pairs.Measured


class Folding(NamedTuple):
    """How folding is measured on a held-out part, of any model of its data."""

    factors: relatedness.Factors
    pairs: pairs.Pairs
    measure: Callable[[evaluate.Ranking, Callable], Fold]  # (ranking, score)


class Validation(NamedTuple):
    """The held-out part that chooses when to stop."""

    select: str  # the metric that chooses
    judge: Callable[[Params, int], dict[str, Any]]  # (params, step) -> the evaluation's line of metrics.jsonl


class Baseline(NamedTuple):
    """What a baseline found."""

    metrics: dict[str, float]
    queries: dict[str, np.ndarray]  # [Q], by metric


class Test(NamedTuple):
    """The held-out part that a run is judged by in the end."""

    folding: Folding
    rank: Callable[[Params, int], evaluate.Ranking]  # (params, step)
    baselines: dict[str, Baseline]  # by name


def validation(config: configs.Config, start: Start, held: HeldOut, params: Params, clock: Clock) -> Validation:
    """Compiles the judging of params like these.

    Raises:
        DivergedError: later, where an embedding or a score is not finite; it names the step.
    """
    judgement, serving = _prepare(config, start, held, "validation")
    rank = ranking(config, start.retriever, (params, start.knobs, serving), judgement, clock, start.shared)
    fold = folding(config, held, config.evaluate.pairs // 2, clock, start.shared)

    def judge(params: Params, step: int) -> dict[str, Any]:
        found = rank((params, start.knobs, serving), step)
        folds = fold.measure(found, start.retriever.score).measured
        means = evaluate.means(found, held.known, config.evaluate)
        return {"step": step, "split": "validation", **means, **folds.found, "standard_error": folds.error}

    return Validation("sampled_" * (held.candidates is not None) + config.evaluate.select, judge)


def test(config: configs.Config, start: Start, held: HeldOut, params: Params, clock: Clock) -> Test:
    """Compiles the judging of params like these, and judges the baselines."""
    shared = start.shared
    judgement, serving = _prepare(config, start, held, "test")
    rank = ranking(config, start.retriever, (params, start.knobs, serving), judgement, clock, shared)
    fold = folding(config, held, config.evaluate.pairs, clock, shared)

    def judge(one: baselines.Baseline) -> Baseline:
        params = one.params(jax.random.key(config.seed))
        found = ranking(config, one.retriever, params, judgement, clock, shared)(params, 0)
        folds = fold.measure(found, one.retriever.score).measured
        metrics = evaluate.means(found, held.known, config.evaluate) | folds.found
        kept = queries.arrays(found, held.known, config.evaluate)
        return Baseline(metrics, {name: value for name, value in kept.items() if "@" in name})

    def built(make: Callable) -> baselines.Baseline:
        with clock.time("baselines_s"):
            return make(config.baselines, held.known)

    def beside(name: str, make: Callable) -> Baseline:
        # What it found is kept and not the baseline, which may be a matrix [N N].
        seed = None if make in baselines.FIXED else config.seed
        return shared.once(("judged", name, seed), lambda: judge(built(make)))

    found = {name: beside(name, make) for name, make in baselines.resolve(config.baselines).items()}
    return Test(fold, lambda params, step: rank((params, start.knobs, serving), step), found)


def _prepare(config: configs.Config, start: Start, held: HeldOut, part: str) -> tuple[evaluate.Judgement, Any]:
    judgement = start.shared.once((part, "tiles"), lambda: evaluate.prepare(held))
    return judgement, start.shared.once((part, "serving"), lambda: start.serving(held))


def ranking(
    config: configs.Config,
    retriever: retrievers.Retriever,
    params: Any,
    judgement: evaluate.Judgement,
    clock: Clock,
    shared: Shared,
) -> Callable[[Any, int], evaluate.Ranking]:
    """Compiles the ranking of a held-out part: (params, step) -> Ranking, for params like these.

    Raises:
        DivergedError: later, where an embedding or a score is not finite; it names the step.
    """
    ranker = evaluate.ranker(retriever, config.evaluate, config.model.history)
    compiled = shared.compile(("ranker", retriever, config.evaluate), clock, ranker, params, judgement)

    def judge(params: Any, step: int) -> evaluate.Ranking:
        with clock.time("evaluate_s"):
            found = evaluate.rank(compiled, params, judgement)
        if found is None:
            raise DivergedError(step, "scores")
        return found

    return judge


def folding(config: configs.Config, held: HeldOut, size: int, clock: Clock, shared: Shared) -> Folding:
    """Draws the pairs of a held-out part on which folding is measured.

    Args:
        size: that many queries by that many items.
    """

    def draw() -> tuple[relatedness.Factors, pairs.Pairs]:
        factors = relatedness.resolve(config.evaluate)(held.known, config.evaluate)
        return factors, pairs.draw(held, factors, size)

    with clock.time("relatedness_s"):
        factors, drawn = shared.once(("pairs", id(held)), draw)  # a split outlives its runs

    def measure(ranking: evaluate.Ranking, score: Callable) -> Fold:
        arguments = ranking.queries, ranking.items, drawn.places
        scorer = shared.compile(("pairs", score), clock, pairs.scorer(score), *arguments)
        with clock.time("folding_s"):
            scores = pairs.score(drawn, ranking, scorer)
            return Fold(scores, pairs.measure(drawn, scores))

    return Folding(factors, drawn, measure)
