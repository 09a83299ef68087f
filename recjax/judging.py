"""How a run judges its model on a held-out part: the ranking of the whole corpus, and folding."""

from collections.abc import Callable
from typing import Any, NamedTuple

from recjax import configs, evaluate, pairs, relatedness, retrievers
from recjax.clock import Clock
from recjax.errors import DivergedError
from recjax.methods import Start
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


def validation(config: configs.Config, start: Start, held: HeldOut, params: Params, clock: Clock) -> Validation:
    """Compiles the judging of params like these.

    Raises:
        DivergedError: later, where an embedding or a score is not finite; it names the step.
    """
    judgement, serving = evaluate.prepare(held), start.serving(held)
    rank = ranking(config, start.retriever, (params, serving), judgement, clock)
    fold = folding(config, held, config.evaluate.pairs // 2, clock)

    def judge(params: Params, step: int) -> dict[str, Any]:
        found = rank((params, serving), step)
        folds = fold.measure(found, start.retriever.score).measured
        means = evaluate.means(found, held.known, config.evaluate)
        return {"step": step, "split": "validation", **means, **folds.found, "standard_error": folds.error}

    return Validation("sampled_" * (held.candidates is not None) + config.evaluate.select, judge)


def ranking(
    config: configs.Config, retriever: retrievers.Retriever, params: Any, judgement: evaluate.Judgement, clock: Clock
) -> Callable[[Any, int], evaluate.Ranking]:
    """Compiles the ranking of a held-out part: (params, step) -> Ranking, for params like these.

    Raises:
        DivergedError: later, where an embedding or a score is not finite; it names the step.
    """
    ranker = evaluate.ranker(retriever, config.evaluate, config.model.history)
    compiled = clock.compile(ranker, params, judgement)

    def judge(params: Any, step: int) -> evaluate.Ranking:
        with clock.time("evaluate_s"):
            found = evaluate.rank(compiled, params, judgement)
        if found is None:
            raise DivergedError(step, "scores")
        return found

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
