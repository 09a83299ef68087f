"""A trained model in hand, for experiments that look at more than a run's metrics."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array

from recjax import configs, evaluate, fit, judging, preparation, retrievers
from recjax.clock import Clock
from recjax.shared import Shared
from recjax.types import Dataset, HeldOut, Params, Split


class Trained(NamedTuple):
    """What training left behind."""

    config: configs.Config
    split: Split
    retriever: retrievers.Retriever  # its params are those of `params_of`
    params: Params  # of the best step
    knobs: dict[str, Array]
    serving: Callable
    steps: int  # done
    epoch: float  # steps
    clock: Clock

    @property
    def epoch_s(self) -> float:
        """Seconds an epoch, without compiling and judging."""
        return self.clock["train_s"] * self.epoch / self.steps


def train(config: configs.Config) -> Trained:
    """Trains as a run does, and writes nothing.

    Raises:
        InputError: what was given, what was wanted, what to type.
        DivergedError: a number was not finite.
    """
    _, _, split, start = preparation.prepare(config)
    clock = Clock()
    fitted = fit.fit(config, start, split.validation, clock, log=lambda line: None, echo=lambda text: None)
    steps = fitted.progress.step
    return Trained(config, split, start.retriever, fitted.params, start.knobs, start.serving, steps, start.epoch, clock)


def params_of(trained: Trained, held: HeldOut) -> tuple[Params, dict[str, Array], object]:
    """What the retriever gets as its params for a held-out part."""
    return trained.params, trained.knobs, trained.serving(held)


def rank(
    trained: Trained, held: HeldOut, *, most: int = 0, score: Callable[[Array, Array], Array] | None = None
) -> evaluate.Ranking:
    """What it retrieves for the queries of a held-out part.

    Args:
        most: so many items a query; 0: as many as the largest of evaluate.k.
        score: in place of the one that it was trained with.
    """
    settings = trained.config.evaluate
    if most:
        settings = dataclasses.replace(settings, k=(*settings.k, most))
    retriever = trained.retriever._replace(score=score or trained.retriever.score)
    return judge(retriever, params_of(trained, held), held, dataclasses.replace(trained.config, evaluate=settings))


def judge(retriever: retrievers.Retriever, params: object, held: HeldOut, config: configs.Config) -> evaluate.Ranking:
    """What any retriever, a baseline too, retrieves for the queries of a held-out part."""
    judgement = evaluate.prepare(held)
    return judging.ranking(config, retriever, params, judgement, Clock(), Shared())(params, 0)


def means(ranking: evaluate.Ranking, known: Dataset, config: configs.Config) -> dict[str, float]:
    """The means of a ranking's metrics, those among candidates under their plain names."""
    return evaluate.means(ranking._replace(metrics=_plain(ranking), sampled=False), known, config.evaluate)


def among(held: HeldOut, retrieved: evaluate.Ranking, most: int) -> HeldOut:
    """The same judgement, in which only the first `most` items that were retrieved for a query are to be ranked."""
    return held._replace(candidates=retrieved.ids[:, :most])


def _plain(ranking: evaluate.Ranking) -> dict:
    return {name.removeprefix("sampled_"): value for name, value in ranking.metrics.items()}
