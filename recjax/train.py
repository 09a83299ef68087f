"""Training: what a config builds, the step, and blocks of steps in one dispatch.

A step is a pure function of (knobs, key, state, data). The objective and the optimizer are built inside its trace
from the static config and the knobs, so knobs may be tracers: a sweep is a vmap over knobs and keys.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from recjax import (
    batches,
    configs,
    fields,
    known,
    losses,
    models,
    objectives,
    optimizers,
    penalties,
    samplers,
    scores,
)
from recjax.errors import InputError
from recjax.types import Data, Dataset, Key, Knobs, Model, Params, Penalty, Sampler, State, Step


class Parts(NamedTuple):
    """What a config names, resolved: all that is static of a run."""

    model: Model
    sampler: Sampler
    loss: Callable[..., Array]
    score: Callable[[Array, Array], Array]
    penalties: dict[str, Callable[..., Penalty]]
    optimizer: Callable[..., optax.GradientTransformation]


def parts(config: configs.Config, dataset: Dataset) -> Parts:
    """Resolves the names of a config and refuses what does not go together.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    sampler = fields.resolve("sampler", config.sampler.name, fields.members(samplers))(config.sampler)
    if not isinstance(sampler, Sampler):
        raise InputError(f"sampler.name={config.sampler.name!r} gave {sampler!r}; wanted a recjax.types.Sampler")
    if config.sampler.name == "none" and config.objective.loss in ("softmax", "bpr", "hinge"):
        raise InputError(
            f"objective.loss={config.objective.loss!r} compares positives with negatives and sampler.name='none' has "
            "none, so nothing would be learned; type --config.objective.loss=squared or --config.sampler.name=uniform"
        )
    if config.sampler.name == "in_batch" and config.train.batch == 1:
        raise InputError("sampler.name='in_batch' finds no negatives in train.batch=1; type --config.train.batch=512")
    if config.objective.correction == "all" and config.objective.loss != "softmax":
        raise InputError(
            f"objective.correction='all' shifts the positive's logit, which only the softmax allows; objective.loss is "
            f"{config.objective.loss!r}: type --config.objective.correction=negatives"
        )
    for name in ("gravity", "corpus_gravity", "batch_gravity"):
        if getattr(config.penalties, name) and config.objective.score != "dot":
            raise InputError(
                f"penalties.{name} is the mean of squared dot products and objective.score={config.objective.score!r}; "
                f"type --config.penalties.{name}=0 or --config.objective.score=dot"
            )
    for name, setups in (("gravity", ("mf",)), ("corpus_gravity", ("mf", "softmax_dnn"))):
        weight = getattr(config.penalties, name)
        if weight and config.model.name not in setups:
            other = "corpus_gravity" if config.model.name == "softmax_dnn" else "batch_gravity"
            raise InputError(
                f"penalties.{name} reads whole tables, but model.name={config.model.name!r} has a net instead; "
                f"type --config.penalties.{name}=0 --config.penalties.{other}={weight}"
            )
    model = fields.resolve("model", config.model.name, fields.members(models))(config.model, dataset)
    if not isinstance(model, Model):
        raise InputError(f"model.name={config.model.name!r} gave {model!r}; wanted a recjax.types.Model")
    return Parts(
        model,
        known.masked(sampler) if config.sampler.mask_known else sampler,
        fields.resolve("loss", config.objective.loss, fields.members(losses)),
        fields.resolve("score", config.objective.score, fields.members(scores)),
        {name: getattr(penalties, name) for name, weight in vars(config.penalties).items() if weight},
        fields.resolve("optimizer", config.optimizer.name, optimizers.members()),
    )


def init(params: Params, parts: Parts, knobs: Knobs, data: Data) -> State:
    """The state before the first step, from new parameters or given ones.

    What samplers and penalties keep is copied: a state may be donated, and `data` must outlive it.
    """
    held = (
        parts.sampler.init(data, params),
        {name: build(0.0).init(data, params) for name, build in parts.penalties.items()},
    )
    return State(
        jnp.zeros((), jnp.int32),
        params,
        parts.optimizer(knobs["optimizer.learning_rate"]).init(params),
        *jax.tree.map(jnp.copy, held),
    )


def step(config: configs.Config, parts: Parts) -> Step:
    """One gradient step on a fresh batch.

    The step's metrics are the objective's terms, named as in the config, and the norm of the gradient.
    """

    def advance(knobs: Knobs, key: Key, state: State, data: Data):
        batch_key, objective_key = jax.random.split(jax.random.fold_in(key, state.step))
        batch = batches.draw(
            batch_key, data, config.train.batch, positives=config.objective.positives, length=config.model.history
        )
        value = objectives.objective(
            parts.model,
            parts.sampler,
            parts.loss,
            score=parts.score,
            temperature=knobs["objective.temperature"],
            correction=config.objective.correction,
            unobserved_weight=knobs["objective.unobserved_weight"],
            penalties={name: build(knobs[f"penalties.{name}"]) for name, build in parts.penalties.items()},
        )
        gradient, found = jax.grad(value, has_aux=True)(
            state.params, objective_key, state.sampler, state.penalty, batch, data
        )
        optimizer = parts.optimizer(knobs["optimizer.learning_rate"])
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = found.terms | {"gradient_norm": optax.tree.norm(gradient)}
        return State(state.step + 1, params, optimizer_state, found.sampler, found.penalty), metrics

    return advance


def block(advance: Step, steps: int) -> Step:
    """`steps` steps in one dispatch, for jax.jit with the state donated. Metrics get a leading axis."""

    def run(knobs: Knobs, key: Key, state: State, data: Any):
        return jax.lax.scan(lambda state, _: advance(knobs, key, state, data), state, length=steps)

    return run
