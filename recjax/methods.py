"""How a model is trained. One signature: (config, dataset) -> Start; a run only knows what a Start holds."""

import dataclasses
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
    parameters,
    retrievers,
    scores,
    solvers,
    train,
)
from recjax import wals as alternating
from recjax.errors import InputError
from recjax.types import Dataset, HeldOut, Key, Model, Params, Split, State, Step


class Start(NamedTuple):
    """All that training and judging begin with. The state is donated to the first block: a start serves once.

    The retriever's params are a pair: the trained parameters, and what `serving(held)` gives of a held-out part.
    """

    advance: Step
    knobs: dict[str, Array]
    key: Key  # of the run
    state: State
    data: Any  # of the step
    examples: int  # that a step looks at
    retriever: retrievers.Retriever
    serving: Callable[[HeldOut], Any]
    # (params, the sampler's last state, split) -> what the method's negatives are worth, by name
    examine: Callable[[Params, Any, Split], dict[str, float]] = lambda params, state, split: {}


def gradient(config: configs.Config, dataset: Dataset) -> Start:
    """Any model, sampler, loss and penalty, by an optimizer of optax on batches of examples.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    fields.refuse_unread(config, configs.Config(), ["wals"], "train.method='gradient'")
    parts, knobs, (init_key, key) = train.parts(config, dataset), _knobs(config), _keys(config)
    data = batches.prepare(dataset, config.objective.positives)
    state = train.init(_params(init_key, parts.model, config), parts, knobs, data)
    retriever = retrievers.model_retriever(parts.model, parts.score)
    retriever = retriever._replace(ready=lambda pair: pair[0])
    drawer = negatives.drawer(
        parts.model,
        parts.sampler,
        parts.score,
        correction=config.objective.correction,
        batch=config.train.batch,
        positives=config.objective.positives,
        length=config.model.history,
    )

    def examine(params: Params, state: Any, split: Split) -> dict[str, float]:
        draw, temperature = jax.jit(drawer), knobs["objective.temperature"]
        draws = [
            jax.tree.map(np.asarray, draw(one, temperature, params, state, data))
            for one in jax.random.split(key, negatives.BATCHES)
        ]
        return negatives.report(draws, split)

    advance = train.step(config, parts)
    return Start(advance, knobs, key, state, data, config.train.batch, retriever, lambda held: (), examine)


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
    unread = ["sampler", "objective", "penalties", "gravity", "optimizer", "train.batch", "model.update"]
    fields.refuse_unread(config, configs.Config(), unread, "train.method='wals'")
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
    model, knobs, (init_key, key) = models.mf(config.model, dataset), _knobs(config), _keys(config)
    state = alternating.init(_params(init_key, model, config))
    items = len(dataset.vocabularies["item"])
    exact = dataclasses.replace(config.wals, solver="cholesky")
    numbers = alternating.coefficients(knobs, config.wals)

    def serving(held: HeldOut):
        if not config.wals.fold_in:
            return ()
        judged, known = np.unique(held.relevant.query), held.known.interactions
        which = np.isin(known.query, judged)
        row = np.searchsorted(judged, known.query[which])
        packed = alternating.prepare_fold_in(
            row, known.item[which], len(judged), items, exact, weight=known.weight[which]
        )
        return jnp.asarray(judged), packed

    def ready(pair: tuple[Params, Any]) -> Params:
        params, known = pair
        if not known:
            return params
        judged, histories = known
        found = alternating.fold_in(params.tables["item"], histories, solvers.resolve(exact), numbers)
        return params._replace(tables=params.tables | {"query": params.tables["query"].at[judged].set(found)})

    retriever = retrievers.model_retriever(model, scores.dot)._replace(ready=ready)
    data = alternating.prepare(dataset, config.wals)
    return Start(alternating.step(config.wals), knobs, key, state, data, len(query), retriever, serving)


def _keys(config: configs.Config) -> Key:
    return jax.random.split(jax.random.key(config.seed))


def _knobs(config: configs.Config) -> dict[str, Array]:
    return {name: jnp.float32(value) for name, value in fields.knobs(config).items()}


def _params(key: Key, model: Model, config: configs.Config) -> Params:
    params = jax.jit(lambda key: embed.init(key, model))(key)
    if not config.model.start:
        return params
    return parameters.restore(params, parameters.load(config.model.start), config.model.start)
