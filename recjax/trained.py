"""A trained model in hand: what training just gave, or what a completed run left in its folder."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
from jaxtyping import Array

from recjax import baselines, configs, evaluate, fields, fit, folders, judging, parameters, preparation, retrievers
from recjax.clock import Clock
from recjax.errors import InputError
from recjax.interactions import fingerprint
from recjax.shared import Shared
from recjax.types import Dataset, HeldOut, Params, Split


class Trained(NamedTuple):
    """What training left behind."""

    config: configs.Config
    dataset: Dataset
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
    prepared, clock = preparation.prepare(config), Clock()
    held = prepared.split.validation
    fitted = fit.fit(config, prepared.start, held, clock, log=lambda line: None, echo=lambda text: None)
    return _trained(prepared, fitted.params, fitted.progress.step, clock)


def load(folder: str | pathlib.Path, changes: Mapping[str, str] = MappingProxyType({})) -> Trained:
    """The model that a completed run left in its folder; its data is read again.

    Args:
        changes: fields that are to be other than in the run's config, as text: `{"data.path": "data/ml-1m"}`.

    Raises:
        InputError: no completed run of this version, or the data is not what it was.
    """
    run = folders.run(pathlib.Path(folder))
    known, settings = fields.flatten(configs.Config()), folders.settings(run)
    gone = sorted(name for name in settings if name not in known and settings[name])
    if gone:  # a setting that was off may be gone
        raise InputError(
            f"{folder}: the run is of an older version, whose {gone[0]}={settings[gone[0]]!r} this one does not know; "
            "run it again"
        )
    texts = {name: fields.text(value) for name, value in settings.items() if name in known}
    start = {"model.start": ""}  # what it began with is not needed any more
    prepared = preparation.prepare(fields.override(configs.Config(), {**texts, **start, **changes}), judged=False)
    ours, theirs = fingerprint(prepared.dataset), run.result["data"]["fingerprint"]
    if ours != theirs:
        raise InputError(
            f"{folder}: the run's data had the fingerprint {theirs}, and what is read from "
            f"data.path={prepared.config.data.path!r} has {ours}; wanted the same data"
        )
    params = parameters.whole(prepared.start.state.params, parameters.load(str(folder)))
    clock = Clock()
    clock.update(run.result["timing"])
    return _trained(prepared, params, run.result["steps"], clock)


def _trained(prepared: preparation.Prepared, params: Params, steps: int, clock: Clock) -> Trained:
    config, dataset, split, start = prepared
    own = start.retriever, params, start.knobs, start.serving
    return Trained(config, dataset, split, *own, steps, start.epoch, clock)


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
    """What any retriever retrieves for the queries of a held-out part."""
    judgement = evaluate.prepare(held)
    return judging.ranking(config, retriever, params, judgement, Clock(), Shared())(params, 0)


def beside(
    baseline: Callable[[configs.Baselines, Dataset], baselines.Baseline], held: HeldOut, config: configs.Config
) -> evaluate.Ranking:
    """What a baseline, a member of recjax.baselines, retrieves for the queries of a held-out part."""
    one = baseline(config.baselines, held.known)
    return judge(one.retriever, one.params(jax.random.key(config.seed)), held, config)


def means(ranking: evaluate.Ranking, known: Dataset, config: configs.Config) -> dict[str, float]:
    """The means of a ranking's metrics, those among candidates under their plain names."""
    return evaluate.means(ranking._replace(metrics=_plain(ranking), sampled=False), known, config.evaluate)


def among(held: HeldOut, retrieved: evaluate.Ranking, most: int) -> HeldOut:
    """The same judgement, in which only the first `most` items that were retrieved for a query are to be ranked."""
    return held._replace(candidates=retrieved.ids[:, :most])


def _plain(ranking: evaluate.Ranking) -> dict:
    return {name.removeprefix("sampled_"): value for name, value in ranking.metrics.items()}
