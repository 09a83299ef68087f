"""How a model is trained. One signature: (config, dataset) -> Start; a run only knows what a Start holds."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from recjax import (
    batches,
    configs,
    embed,
    fields,
    models,
    negatives,
    newcomers,
    parameters,
    retrievers,
    scores,
    solvers,
    train,
)
from recjax import wals as alternating
from recjax.errors import InputError
from recjax.shared import Shared
from recjax.types import Dataset, HeldOut, Key, Model, Params, Split, State, Step


class Start(NamedTuple):
    """All that training and judging begin with. The state is donated to the first block: a start serves once.

    What a run's seed and knobs decide are `knobs`, `key` and `state` alone: the rest serves every trial of a program.
    The retriever's params are three: the trained parameters, the run's knobs, and what `serving(held)` gives of a
    held-out part.
    """

    advance: Step
    knobs: dict[str, Array]
    key: Key  # of the run
    state: State
    # the three of another config, which differs in its seed and its knobs alone; it refuses a knob that is not read
    begin: Callable[[configs.Config], tuple[dict[str, Array], Key, State]]
    data: Any  # of the step
    examples: int  # that a step looks at
    epoch: float  # in steps
    retriever: retrievers.Retriever
    serving: Callable[[HeldOut], Any]
    shared: Shared
    # (knobs, key, params, the sampler's last state, split) -> what the method's negatives are worth, by name
    examine: Callable[[dict[str, Array], Key, Params, Any, Split], dict[str, float]] = lambda *run: {}


def gradient(config: configs.Config, dataset: Dataset) -> Start:
    """Any model, sampler, loss and penalty, by an optimizer of optax on batches of examples.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    parts = train.parts(config, dataset)
    data = batches.prepare(dataset, config.objective.positives)
    initial = _initial(parts.model, config)

    def begin(config: configs.Config) -> tuple[dict[str, Array], Key, State]:
        fields.refuse_unread(config, configs.Config(), ["wals"], "train.method='gradient'")
        train.refuse_unread(config, parts)
        knobs, (init_key, key) = _knobs(config), _keys(config)
        return knobs, key, train.init(initial(init_key), parts, knobs, data)

    retriever = retrievers.model_retriever(parts.model, parts.score)._replace(ready=lambda params: _filled(*params))
    drawer = jax.jit(
        negatives.drawer(
            parts.model,
            parts.sampler,
            parts.score,
            correction=config.objective.correction,
            batch=config.train.batch,
            positives=config.objective.positives,
            length=config.model.history,
        )
    )

    def examine(knobs: dict[str, Array], key: Key, params: Params, state: Any, split: Split) -> dict[str, float]:
        draws = [
            jax.tree.map(np.asarray, drawer(one, knobs["objective.temperature"], params, state, data))
            for one in jax.random.split(key, negatives.BATCHES)
        ]
        return negatives.report(draws, split)

    advance = train.step(config, parts)
    size = config.train.batch
    epoch = len(dataset.interactions.query) / size
    serving = functools.partial(_newcomers, config, dataset)
    return Start(advance, *begin(config), begin, data, size, epoch, retriever, serving, Shared(), examine)


def wals(config: configs.Config, dataset: Dataset) -> Start:
    """Matrix factorization by weighted alternating least squares; a step is an iteration over all interactions.

    Raises:
        InputError: another model, a setting that only gradients read, or repeated pairs where each is to count once.
    """
    if config.model.name != "mf":
        raise InputError(
            f"train.method='wals' solves for two tables and model.name is {config.model.name!r}; "
            "type --config.model.name=mf or --config.train.method=gradient"
        )
    _refuse_gradient(config)
    own = {"cg": ["wals.block"], "block": ["wals.steps"], "cholesky": ["wals.block", "wals.steps"]}
    fields.refuse_unread(
        config, configs.Config(), own.get(config.wals.solver, []), f"wals.solver={config.wals.solver!r}"
    )
    query, item = dataset.interactions.query.astype(np.int64), dataset.interactions.item
    if not config.wals.all_pairs and len(np.unique(query * len(dataset.corpus["item"]) + item)) < len(query):
        raise InputError(
            "wals.all_pairs=False weighs each unobserved pair, and repeated interactions would take a pair out of them "
            "more than once; type --config.data.repeats=false or --config.wals.all_pairs=true"
        )
    if config.wals.fold_in and config.model.newcomers != "none":
        raise InputError(
            f"wals.fold_in and model.newcomers={config.model.newcomers!r} both say what a new query's embedding is; "
            "leave one of them out"
        )
    model = models.mf(config.model, dataset)
    initial = _initial(model, config)

    def begin(config: configs.Config) -> tuple[dict[str, Array], Key, State]:
        _refuse_gradient(config)
        init_key, key = _keys(config)
        return _knobs(config), key, alternating.init(initial(init_key))

    items = len(dataset.vocabularies["item"])
    exact = dataclasses.replace(config.wals, solver="cholesky")

    def serving(held: HeldOut):
        if not config.wals.fold_in:
            return _newcomers(config, dataset, held)
        judged, known = np.unique(held.relevant.query), held.known.interactions
        which = np.isin(known.query, judged)
        row = np.searchsorted(judged, known.query[which])
        packed = alternating.prepare_fold_in(
            row, known.item[which], len(judged), items, exact, weight=known.weight[which]
        )
        return jnp.asarray(judged), packed

    def ready(given: tuple[Params, dict[str, Array], Any]) -> Params:
        params, knobs, known = given
        if not config.wals.fold_in:
            return _filled(*given)
        judged, histories = known
        numbers = alternating.coefficients(knobs, config.wals)
        found = alternating.fold_in(params.tables["item"], histories, solvers.resolve(exact), numbers)
        return params._replace(tables=params.tables | {"query": params.tables["query"].at[judged].set(found)})

    retriever = retrievers.model_retriever(model, scores.dot)._replace(ready=ready)
    data = alternating.prepare(dataset, config.wals)
    advance = alternating.step(config.wals)
    return Start(advance, *begin(config), begin, data, len(query), 1.0, retriever, serving, Shared())


def _newcomers(config: configs.Config, dataset: Dataset, held: HeldOut) -> dict[str, newcomers.Neighbors]:
    return newcomers.find(dataset, held, config.model) if config.model.newcomers != "none" else {}


def _filled(params: Params, knobs: dict[str, Array], found: dict[str, newcomers.Neighbors]) -> Params:
    return params._replace(tables=newcomers.fill(params.tables, found))


def _refuse_gradient(config: configs.Config) -> None:
    unread = ["sampler", "objective", "penalties", "gravity", "optimizer", "train.batch", "model.update"]
    fields.refuse_unread(config, configs.Config(), unread, "train.method='wals'")


def _keys(config: configs.Config) -> Key:
    return jax.random.split(jax.random.key(config.seed))


def _knobs(config: configs.Config) -> dict[str, Array]:
    return {name: jnp.float32(value) for name, value in fields.knobs(config).items()}


def _initial(model: Model, config: configs.Config) -> Callable[[Key], Params]:
    """New parameters by a key, with the tables of model.start where there is one."""
    new = jax.jit(lambda key: embed.init(key, model))
    if not config.model.start:
        return new
    return lambda key: parameters.restore(new(key), parameters.load(config.model.start), config.model.start)
