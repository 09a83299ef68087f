"""A run is a pure function of its seed, however it is cut, mapped or compiled."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import configs, fields, losses, optimizers, samplers, train
from recjax.errors import InputError

SETUPS = ["mf", "softmax_dnn", "two_tower"]


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("name", SETUPS)
def test_a_block_of_steps_equals_the_steps_to_the_bit(build, knobs, name, config, split):
    config, advance, state, data = build(config, split, model__name=name, sampler__name="uniform")
    key, values = jax.random.key(7), knobs(config)
    whole, metrics = jax.jit(train.block(advance, 4))(values, key, state, data)
    halves = jax.jit(train.block(advance, 2))
    halfway, first = halves(values, key, state, data)
    end, second = halves(values, key, halfway, data)
    same(whole, end)
    same(metrics, jax.tree.map(lambda *parts: jnp.concatenate(parts), first, second))
    assert int(whole.step) == 4


@pytest.mark.parametrize("name", SETUPS)
def test_the_loss_falls(build, knobs, name, config, split):
    config, advance, state, data = build(config, split, model__name=name)
    _, metrics = jax.jit(train.block(advance, 60))(
        knobs(config, **{"optimizer.learning_rate": 0.03}), jax.random.key(1), state, data
    )
    assert metrics["loss"][-10:].mean() < 0.9 * metrics["loss"][:10].mean()


SAMPLERS = sorted(set(fields.members(samplers)) - {"impressions"})  # which want more data
COMPARING = ("softmax", "bpr", "hinge", "warp", "bsl")
PAIRS = [("logistic", sampler) for sampler in SAMPLERS]
PAIRS += [(loss, sampler) for loss in sorted(fields.members(losses)) for sampler in ("none", "uniform", "full")]


@pytest.mark.parametrize(("loss", "sampler"), sorted(set(PAIRS)))
def test_losses_train_with_samplers(build, knobs, loss, sampler, config, split):
    """A loss does not know who drew its negatives: every loss with three samplers, and every sampler with one loss."""
    if sampler == "none" and loss in COMPARING:
        with pytest.raises(InputError, match="so nothing would be learned"):
            build(config, split, objective__loss=loss, sampler__name=sampler)
        return
    config, advance, state, data = build(
        config, split, objective__loss=loss, sampler__name=sampler, sampler__mask_known="true", objective__positives="2"
    )
    state, metrics = jax.jit(train.block(advance, 2))(knobs(config), jax.random.key(1), state, data)
    chex.assert_tree_all_finite((state.params, metrics))


@pytest.mark.parametrize(("sampler", "masked"), [(one, "false") for one in SAMPLERS] + [("adaptive", "true")])
def test_a_donated_state_takes_nothing_of_the_data_with_it(build, knobs, sampler, masked, config, split):
    config, advance, state, data = build(
        config, split, model__name="mf", objective__loss="logistic", sampler__name=sampler, sampler__mask_known=masked
    )
    run = jax.jit(train.block(advance, 1), donate_argnums=2)
    state, _ = run(knobs(config), jax.random.key(1), state, data)
    run(knobs(config), jax.random.key(1), state, data)


@pytest.mark.parametrize("name", sorted(optimizers.members()))
def test_every_optimizer_that_a_config_can_name_makes_a_step(build, knobs, name, config, split):
    config, advance, state, data = build(config, split, model__name="mf", optimizer__name=name)
    moved, _ = jax.eval_shape(advance, knobs(config), jax.random.key(1), state, data)
    assert jax.tree.structure(moved) == jax.tree.structure(state)


def test_without_times_the_setups_train_too(build, knobs, config, timeless):
    for name in SETUPS:
        changed, advance, state, data = build(config, timeless, model__name=name)
        state, metrics = jax.jit(train.block(advance, 2))(knobs(changed), jax.random.key(1), state, data)
        chex.assert_tree_all_finite((state.params, metrics))


def test_a_second_call_compiles_nothing(build, knobs, config, split):
    config, advance, state, data = build(config, split, sampler__name="mixed")
    run = jax.jit(chex.assert_max_traces(train.block(advance, 2), n=1), donate_argnums=2)
    state, _ = run(knobs(config), jax.random.key(0), state, data)
    run(knobs(config, **{"optimizer.learning_rate": 0.5}), jax.random.key(1), state, data)


def test_a_vmap_over_knobs_and_keys_equals_the_single_runs(build, knobs, config, split):
    """To 1e-4 relative after 5 steps: a mapped matrix product may sum in another order."""
    changes = {"penalties__gravity": "0.1", "gravity__estimate": "sogram", "sampler__name": "uniform"}
    config, advance, state, data = build(config, split, **changes)
    run = jax.jit(train.block(advance, 5))
    rates, keys = jnp.array([1e-3, 1e-2]), jax.random.split(jax.random.key(3), 2)
    base = knobs(config)
    axes = {name: 0 if name == "optimizer.learning_rate" else None for name in base}
    mapped, _ = jax.jit(jax.vmap(train.block(advance, 5), in_axes=(axes, 0, None, None)))(
        base | {"optimizer.learning_rate": rates}, keys, state, data
    )
    for trial in range(2):
        single, _ = run(base | {"optimizer.learning_rate": rates[trial]}, keys[trial], state, data)
        one = jax.tree.map(lambda leaf, trial=trial: leaf[trial], mapped.params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, single.params)


@pytest.mark.parametrize(("estimate", "read"), [("sogram", ["gravity.alpha"]), ("sagram", ["gravity.beta"])])
def test_every_knob_reaches_the_program(build, knobs, estimate, read, config, split):
    """A knob that changes nothing would be a setting that lies."""
    changes = {f"penalties__{name}": "0.1" for name in ("gravity", "l2", "query_l2", "positive_l2", "negative_l2")}
    changes |= {"gravity__estimate": estimate, "model__name": "mf", "sampler__name": "uniform"}
    config, advance, state, data = build(config, split, **changes)
    run = jax.jit(advance)
    base = knobs(config)
    after = run(base, jax.random.key(0), state, data)[0]
    unread = {f"objective.{one}" for loss in fields.members(losses).values() for one in fields.tunables(loss)}
    unread |= {one for one in base if one.startswith(("wals.", "gravity."))}
    for name in read + [one for one in base if one not in unread]:
        changed = run(base | {name: base[name] * 2}, jax.random.key(0), state, data)[0]
        one, other = changed.params.tables, after.params.tables
        assert not all(np.array_equal(one[table], other[table]) for table in ("query", "item")), name


def test_a_penalty_of_weight_0_is_not_in_the_program(build, knobs, config, split):
    _, advance, state, data = build(config, split)
    metrics = jax.eval_shape(advance, knobs(config), jax.random.key(0), state, data)[1]
    assert set(metrics) == {"loss", "gradient_norm"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective.loss": "sofmax"}, "unknown loss 'sofmax'; did you mean 'softmax'"),
        ({"objective.score": "dott"}, "unknown score 'dott'; did you mean 'dot'"),
        ({"sampler.name": "unifrom"}, "unknown sampler 'unifrom'; did you mean 'uniform'"),
        ({"model.name": "two_towers"}, "unknown model 'two_towers'; did you mean 'two_tower'"),
        ({"optimizer.name": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"objective.loss": "squared", "objective.correction": "all"}, "type --config.objective.correction=negatives"),
        ({"objective.score": "cosine", "penalties.gravity": "1"}, "type --config.penalties.gravity=0 or"),
        ({"sampler.name": "in_batch", "train.batch": "1"}, "finds no negatives in train.batch=1"),
        ({"sampler.name": "builtins:repr"}, "sampler.name='builtins:repr' gave .*; wanted a recjax.types.Sampler"),
        ({"model.name": "mf"}, r"model.hidden is \(12,\), which model.name='mf' does not read; leave it out"),
        ({"model.item_features": "item"}, "which model.name='softmax_dnn' does not read"),
        ({"penalties.gravity": "2", "model.name": "two_tower"}, "type --config.gravity.estimate=sogram"),
        (
            {"gravity.pairs": "corpus"},
            "gravity.pairs is 'corpus', which penalties.gravity=0 does not read; leave it out",
        ),
        ({"penalties.gravity": "2", "gravity.alpha": "0.5"}, "which gravity.estimate='exact' does not read"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message, config, split):
    with pytest.raises(InputError, match=message):
        train.parts(fields.override(config, changes), split.train)


@pytest.mark.parametrize(("decay", "share"), [("none", 1.0), ("linear", 0.75), ("cosine", 0.5 + 0.5 * np.sqrt(0.5))])
def test_sgd_steps_by_the_learning_rate_times_the_gradient(build, knobs, config, split, decay, share):
    """After a quarter of the steps a linear rate has three quarters left, a cosine more."""
    steps = 4000 / len(split.train.interactions.query) * config.train.batch
    config, advance, state, data = build(
        config, split, optimizer__name="sgd", model__name="mf", optimizer__decay=decay, train__epochs=str(steps)
    )
    run, state = jax.jit(advance), state._replace(step=jnp.array(1000))
    moves = []
    for rate in (0.5, 1.0):
        moved, metrics = run(knobs(config, **{"optimizer.learning_rate": rate}), jax.random.key(0), state, data)
        step = jax.tree.map(jnp.subtract, moved.params, state.params)
        moves.append(np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(step))))
        np.testing.assert_allclose(moves[-1], share * rate * metrics["gradient_norm"], rtol=1e-3)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        configs.Config().seed = 1  # type: ignore[misc]
