"""Training: what a config builds, the step, and blocks of steps in one dispatch.

A step is a pure function of (knobs, key, state, data). The objective and the optimizer are built inside its trace
from the static config and the knobs, so knobs may be tracers: a sweep is a vmap over knobs and keys.
"""

import functools
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
    linalg,
    losses,
    models,
    objectives,
    optimizers,
    penalties,
    rows,
    samplers,
    scores,
)
from recjax.errors import InputError
from recjax.types import Data, Dataset, Key, Knobs, Model, Params, Penalty, Sampler, State, Step

_COMPARING = ("softmax", "bpr", "hinge", "warp", "bsl")  # positives with negatives: without negatives they are 0


class Parts(NamedTuple):
    """What a config names, resolved: all that is static of a run."""

    model: Model
    sampler: Sampler
    loss: Callable[..., Array]
    tunables: tuple[str, ...]  # settings of the objective that the loss names
    score: Callable[[Array, Array], Array]
    penalties: dict[str, Callable[..., Penalty]]
    gravity: penalties.Settings
    optimizer: Callable[..., optax.GradientTransformation]
    by_rows: bool  # tables may be trained by rows where that is faster
    steps: int  # of the whole run, if nothing stops it before


def parts(config: configs.Config, dataset: Dataset) -> Parts:
    """Resolves the names of a config and refuses what does not go together.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    sampler = fields.resolve("sampler", config.sampler.name, fields.members(samplers))(config.sampler)
    if not isinstance(sampler, Sampler):
        raise InputError(f"sampler.name={config.sampler.name!r} gave {sampler!r}; wanted a recjax.types.Sampler")
    if config.sampler.name == "none" and config.objective.loss in _COMPARING:
        raise InputError(
            f"objective.loss={config.objective.loss!r} compares positives with negatives and sampler.name='none' has "
            "none, so nothing would be learned; type --config.objective.loss=squared or --config.sampler.name=uniform"
        )
    if config.sampler.name == "in_batch" and config.train.batch == 1:
        raise InputError("sampler.name='in_batch' finds no negatives in train.batch=1; type --config.train.batch=512")
    if config.objective.correction == "all" and config.sampler.name == "impressions":
        raise InputError(
            "objective.correction='all' needs the positive's expected count and sampler.name='impressions' never draws "
            "it; type --config.objective.correction=negatives"
        )
    if config.objective.correction == "all" and config.objective.loss not in ("softmax", "nce"):
        raise InputError(
            f"objective.correction='all' shifts the positive's logit, which only softmax and nce allow; objective.loss "
            f"is {config.objective.loss!r}: type --config.objective.correction=negatives"
        )
    model = fields.resolve("model", config.model.name, fields.members(models))(config.model, dataset)
    if not isinstance(model, Model):
        raise InputError(f"model.name={config.model.name!r} gave {model!r}; wanted a recjax.types.Model")
    optimizer = fields.resolve("optimizer", config.optimizer.name, optimizers.members())
    loss = fields.resolve("loss", config.objective.loss, fields.members(losses))
    added = {name: getattr(penalties, name) for name, weight in vars(config.penalties).items() if weight}
    gravity = penalties.settings(config, dataset)
    return Parts(
        model,
        known.masked(sampler) if config.sampler.mask_known else sampler,
        loss,
        _tunables(config.objective, loss),
        fields.resolve("score", config.objective.score, fields.members(scores)),
        added,
        gravity,
        optimizer,
        _by_rows(config, model, optimizer, [name for name, one in added.items() if one(0.0, gravity).whole]),
        steps(config.train, len(dataset.interactions.query) / config.train.batch),
    )


def steps(settings: configs.Train, epoch: float) -> int:
    """How many steps train.epochs are.

    Args:
        epoch: in steps.
    """
    return max(1, round(settings.epochs * epoch))


def refuse_unread(config: configs.Config, parts: Parts) -> None:
    """Refuses knobs that these parts do not read.

    Raises:
        InputError: such a knob is not its default.
    """
    _tunables(config.objective, parts.loss)
    penalties.refuse_unread(config)


def _tunables(settings: configs.Objective, loss: Callable[..., Array]) -> tuple[str, ...]:
    """The settings that a loss names. A loss of one's own may name those of ours.

    Raises:
        InputError: a setting that only other losses read is not its default.
    """
    known = {name for one in fields.members(losses).values() for name in fields.tunables(one)}
    named = known & set(fields.tunables(loss))
    unread = sorted(known - named) + ["unobserved_weight"] * (loss is losses.bsl)  # there it adds a constant
    fields.refuse_unread(settings, configs.Objective(), unread, f"objective.loss={settings.loss!r}", "objective.")
    return tuple(sorted(named))


def _by_rows(
    config: configs.Config,
    model: Model,
    optimizer: Callable[..., optax.GradientTransformation],
    whole: list[str],
) -> bool:
    """Whether tables may be trained by rows: no penalty reads whole ones, and the optimizer can.

    Args:
        whole: the penalties that read whole tables.

    Raises:
        InputError: they may not, but some are to be.
    """
    demanded = any(spec.update == "rows" for spec in model.specs.values())
    if not demanded and not any(rows.pays(spec, config.train.batch) for spec in model.specs.values()):
        return False
    reason = ""
    if demanded and config.sampler.name == "full":
        reason = "sampler.name='full' touches every row; type --config.sampler.name=uniform"
    if demanded and config.sampler.enough:
        reason = "sampler.enough may score the whole corpus, which touches every row; type --config.sampler.enough=0"
    if "l2" in whole:
        reason = (
            "penalties.l2 reads whole tables; type --config.penalties.l2=0 and a weight for query_l2 and positive_l2"
        )
    if "gravity" in whole:
        reason = "gravity.estimate='exact' reads whole tables; type --config.gravity.estimate=sogram"
    kind, name = rows.kind(optimizer), config.optimizer.name
    if kind == "whole":
        reason = f"optimizer.name={name!r} moves a row by what other rows have; type --config.optimizer.name=adagrad"
    elif kind == "lazy" and not config.optimizer.lazy:
        reason = (
            f"optimizer.name={name!r} also moves rows that a batch does not touch, by their moments; type "
            "--config.optimizer.lazy=true if they may stay where they are, or --config.optimizer.name=adagrad"
        )
    if reason and demanded:
        raise InputError(f"model.update='rows', but {reason}; or --config.model.update=auto")
    return not reason


def init(params: Params, parts: Parts, knobs: Knobs, data: Data) -> State:
    """The state before the first step, from new parameters or given ones.

    What samplers and penalties keep is copied: a state may be donated, and `data` must outlive it.
    """
    held = (
        parts.sampler.init(data, params),
        {name: build(0.0, parts.gravity).init(data, params) for name, build in parts.penalties.items()},
    )
    return State(
        jnp.zeros((), jnp.int32),
        params,
        parts.optimizer(knobs["optimizer.learning_rate"]).init(rows.take(params, {})),
        *jax.tree.map(jnp.copy, held),
    )


def step(config: configs.Config, parts: Parts) -> Step:
    """One gradient step on a fresh batch.

    The step's metrics are the objective's terms, named as in the config, what the sampler tells of itself, and the norm
    of the gradient.
    """

    def advance(knobs: Knobs, key: Key, state: State, data: Data):
        batch_key, objective_key, store_key = jax.random.split(jax.random.fold_in(key, state.step), 3)
        batch = batches.draw(
            batch_key, data, config.train.batch, positives=config.objective.positives, length=config.model.history
        )
        # Without tunables the loss stays itself: the objective knows the softmax by identity.
        tuned = {name: knobs[f"objective.{name}"] for name in parts.tunables}
        gravity = parts.gravity._replace(alpha=knobs["gravity.alpha"], beta=knobs["gravity.beta"])
        objective = objectives.objective(
            parts.model,
            parts.sampler,
            functools.partial(parts.loss, **tuned) if tuned else parts.loss,
            score=parts.score,
            temperature=knobs["objective.temperature"],
            correction=config.objective.correction,
            unobserved_weight=knobs["objective.unobserved_weight"],
            penalties={name: build(knobs[f"penalties.{name}"], gravity) for name, build in parts.penalties.items()},
        )
        candidates, sampler_state = objective.sample(objective_key, state.sampler, batch)
        touched = rows.choose(parts.model.specs, objective.reads(batch, candidates, data), parts.by_rows)
        values, states = rows.take(state.params, touched), objectives.States(sampler_state, state.penalty)

        def loss(values):
            return objective.value(objective_key, rows.view(values, touched), states, batch, candidates, data)

        gradient, found = jax.grad(loss, has_aux=True)(values)
        rate = optimizers.decayed(knobs["optimizer.learning_rate"], config.optimizer.decay, state.step, parts.steps)
        optimizer = parts.optimizer(rate)
        updates, optimizer_state = rows.update(optimizer, gradient, state.optimizer, values, touched)
        params = rows.put(store_key, state.params, touched, optax.apply_updates(values, updates))
        metrics = found.terms | found.metrics | {"gradient_norm": optax.tree.norm(gradient)}
        return State(state.step + 1, params, optimizer_state, *found.states), metrics

    return advance


def block(advance: Step, steps: int) -> Step:
    """`steps` steps in one dispatch, for jax.jit with the state donated. Metrics get a leading axis."""

    def run(knobs: Knobs, key: Key, state: State, data: Any):
        kinds = jax.tree.map(lambda leaf: leaf.dtype, state)

        def one(kept, _):
            state, metrics = advance(knobs, key, jax.tree.map(linalg.from_bits, kept, kinds), data)
            return jax.tree.map(linalg.bits, state), metrics

        kept, metrics = jax.lax.scan(one, jax.tree.map(linalg.bits, state), length=steps)
        return jax.tree.map(linalg.from_bits, kept, kinds), metrics

    return run
