"""Training by rows gives the touched rows what training of whole tables gives them, and leaves the others alone."""

import dataclasses
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from recjax import fields, linalg, optimizers, rows, samplers, tables, train
from recjax.errors import InputError
from recjax.tables import Table
from recjax.types import Params, State

SAMPLERS = sorted(set(fields.members(samplers)) - {"full"})  # which reads a whole table
EXACT = ["adagrad", "rowwise_adagrad", "sgd", "sign_sgd"]
WHOLE = ["adafactor", "fromage", "lamb", "lars", "novograd", "sm3"]


def params(**held):
    return Params({name: jnp.asarray(table, jnp.float32) for name, table in held.items()}, {}, {})


@pytest.fixture
def trained(build, knobs, config, split):
    """The state after some steps, as numpy."""

    shown = split.train.interactions._replace(item=split.train.interactions.item[::-1])
    split = split._replace(train=split.train._replace(impressions=shown))

    def trained(update, steps=5, **changes):
        own, advance, state, data = build(config, split, model__update=update, **changes)
        run, values = jax.jit(train.block(advance, steps)), knobs(own, **{"optimizer.learning_rate": 0.1})
        return jax.tree.map(np.asarray, run(values, jax.random.key(1), state, data)[0])

    return trained


def assert_same(one, other):
    """To the bit with jax 0.10; jax 0.12 fuses multiplications and additions otherwise in the two programs: to 1e-5."""
    bound = {"rtol": 0, "atol": 0} if jax.__version_info__ < (0, 11) else {"rtol": 1e-5, "atol": 1e-7}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **bound), one, other)


@pytest.mark.parametrize(
    ("ids", "found"),
    [([5, 2, 5, 9], [2, 5, 9, 12]), ([9, 9, 9], [9, 10, 11]), ([4], [4]), ([3, 1, 2], [1, 2, 3]), ([0, 0], [0, 10])],
)
def test_distinct_ids_rise_and_each_occurs_once(ids, found):
    assert rows.distinct(jnp.array(ids), 9).tolist() == found


@pytest.mark.parametrize("name", sorted(optimizers.members()))
def test_every_optimizer_is_known_for_what_it_does_to_rows(name):
    wanted = "exact" if name in EXACT else "whole" if name in WHOLE else "lazy"
    assert rows.kind(optimizers.members()[name]) == wanted


@pytest.mark.parametrize(
    ("wanted", "make"),
    [
        ("exact", lambda rate: optax.chain(optax.clip_by_global_norm(1.0), optax.adagrad(rate))),
        ("lazy", lambda rate: optax.sgd(rate, momentum=0.9)),
        ("lazy", lambda rate: optax.chain(optax.add_decayed_weights(0.1), optax.sgd(rate))),
        ("whole", lambda rate: optax.chain(optax.centralize(), optax.clip_by_block_rms(1.0), optax.sgd(rate))),
        ("whole", optax.contrib.muon),
    ],
)
def test_so_are_chains_of_transforms(wanted, make):
    assert rows.kind(make) == wanted


@pytest.mark.parametrize(
    ("setup", "sampler", "optimizer"),
    [
        *(("mf", sampler, "adagrad") for sampler in SAMPLERS),
        *(("mf", "uniform", optimizer) for optimizer in ("sgd", "rowwise_adagrad")),
        ("softmax_dnn", "mixed", "adagrad"),
    ],
)
def test_rows_equal_dense_to_the_bit(trained, setup, sampler, optimizer):
    """With bags, tied tables, side features, histories that are empty and batches in which most items repeat."""
    loss = "squared" if sampler == "none" else "softmax"
    changes = {"model__name": setup, "sampler__name": sampler, "optimizer__name": optimizer, "objective__loss": loss}
    changes |= {"objective__positives": "2", "sampler__mask_known": "true"}
    assert_same(*(trained(update, **changes) for update in ("rows", "dense")))


def test_hashed_tables_and_separate_histories_too(trained):
    changes = {"model__name": "two_tower", "sampler__name": "mixed", "optimizer__name": "adagrad"}
    changes |= {"model__buckets": "4", "model__tied": "false", "model__query_features": "all"}
    assert_same(*(trained(update, **changes) for update in ("rows", "dense")))


def test_a_clipped_gradient_is_the_same(build, knobs, config, split):
    """The norm is summed in another order: equal to 1e-5 relative."""
    found = []
    for update in ("rows", "dense"):
        changes = {"model__update": update, "model__name": "mf", "sampler__name": "uniform"}
        base, _, _, data = build(config, split, optimizer__name="adagrad", **changes)
        parts = train.parts(base, split.train)._replace(
            optimizer=lambda rate: optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(rate))
        )
        state = train.init(params_of(parts), parts, knobs(base), data)
        run = jax.jit(train.block(train.step(base, parts), 3))
        found.append(run(knobs(base, **{"optimizer.learning_rate": 10.0}), jax.random.key(1), state, data)[0].params)
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7), *found)


def params_of(parts):
    return Params(tables.init(jax.random.key(0), parts.model.specs), {}, {})


def test_lazy_adam_moves_the_touched_rows_as_adam_does_and_no_others():
    """From one state: a row that the step touches gets Adam's update, another keeps its value and its moments."""
    draw = np.random.default_rng(0)
    table, first, second = (draw.standard_normal((8, 3)).astype(np.float32) for _ in range(3))
    adam, touched = optax.adam(0.1), {"a": rows.distinct(jnp.array([6, 1, 1]), 8)}
    _, state = adam.update(params(a=first), adam.init(params(a=table)), params(a=table))
    second[[0, 2, 3, 4, 5, 7]] = 0.0
    dense, dense_state = adam.update(params(a=second), state, params(a=table))
    values = rows.take(params(a=table), touched)
    gradient = rows.take(params(a=second), touched)
    updates, lazy_state = rows.update(adam, gradient, state, values, touched)
    moved = rows.put(jax.random.key(0), params(a=table), touched, optax.apply_updates(values, updates))
    whole = optax.apply_updates(params(a=table), dense)
    np.testing.assert_array_equal(moved.tables["a"][jnp.array([1, 6])], whole.tables["a"][jnp.array([1, 6])])
    others = jnp.array([0, 2, 3, 4, 5, 7])
    np.testing.assert_array_equal(moved.tables["a"][others], table[others])
    for one, two, before in zip(*(jax.tree.leaves(tree) for tree in (lazy_state, dense_state, state)), strict=True):
        if one.ndim:
            np.testing.assert_array_equal(one[jnp.array([1, 6])], two[jnp.array([1, 6])])
            np.testing.assert_array_equal(one[others], before[others])


def test_a_lazy_run_differs_from_a_dense_one(trained):
    changes = {"model__name": "mf", "sampler__name": "uniform", "optimizer__name": "adam"}
    lazy = trained("rows", optimizer__lazy="true", **changes)
    dense = trained("dense", **changes)
    assert not np.array_equal(lazy.params.tables["query"], dense.params.tables["query"])


def test_rowwise_adagrad_keeps_one_number_a_row():
    """Two steps of the gradient (3, 4): sums .1 + 12.5, .1 + 25, and a vector elementwise."""
    optimizer = optimizers.rowwise_adagrad(0.5)
    gradient = {"table": jnp.array([[3.0, 4.0], [0.0, 0.0]]), "bias": jnp.array([2.0])}
    state = optimizer.init(gradient)
    assert jax.tree.map(jnp.shape, state) == {"table": (2, 1), "bias": (1,)}
    for total in (12.6, 25.1):
        updates, state = optimizer.update(gradient, state)
        wanted = -0.5 * gradient["table"] / np.sqrt(total)
        np.testing.assert_allclose(updates["table"], wanted, rtol=1e-6)
    np.testing.assert_allclose(updates["bias"], -0.5 * 2.0 / np.sqrt(8.1), rtol=1e-6)
    np.testing.assert_allclose(state["table"][:, 0], [25.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize("update", ["dense", "rows"])
def test_bfloat16_tables_stay_so_and_follow_float32(trained, update):
    """Rounding at random moves a row by 2^-8 of it a step: after 5 steps tables differ by 2 % of their norm."""
    changes = {"model__name": "mf", "sampler__name": "uniform", "optimizer__name": "adagrad"}
    rounded = trained(update, model__storage="bfloat16", **changes)
    exact = trained(update, **changes)
    assert {table.dtype for table in rounded.params.tables.values()} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(rounded.optimizer)} <= {"float32", "int32"}
    one, two = (np.asarray(state.params.tables["item"], np.float32) for state in (rounded, exact))
    assert 0 < np.linalg.norm(one - two) < 0.02 * np.linalg.norm(two)


def test_steps_read_and_write_rows_of_a_bfloat16_table_without_converting_it():
    """Beside what comes in and goes out, once a dispatch, nothing of the table's size is made in the program."""

    def advance(knobs, key, state, ids):
        table = state.params["table"]
        return state._replace(params={"table": linalg.put(table, ids, linalg.take(table, ids) * 2)}), ()

    state = State(jnp.array(0), {"table": jnp.ones((100_000, 64), jnp.bfloat16)}, (), (), ())
    given = {}, jax.random.key(0), state, jnp.arange(8)
    # As users compile: conftest has another compiler of fusions.
    options = {"xla_cpu_use_fusion_emitters": True} if "fusion_emitters" in os.environ.get("XLA_FLAGS", "") else {}
    program = jax.jit(train.block(advance, 3), donate_argnums=2).lower(*given).compile(options)
    whole = re.findall(r"= (\w+)\[100000,64\]\S* (convert|bitcast-convert|copy)\(", program.as_text())
    assert sorted(whole) == [("bf16", "bitcast-convert"), ("u16", "bitcast-convert")]
    found, _ = program(*given)
    np.testing.assert_array_equal(found.params["table"][:9, 0].astype(jnp.float32), [8.0] * 8 + [1.0])


def test_rounding_at_random_keeps_the_mean():
    """10,000 updates of 2^-12 to 1, each below bfloat16's half step 2^-9: 1 + 10,000 / 4,096.

    1,024 entries average it, so that the standard error is .16 % of the value; the bound is six of them.
    """

    def one(values, key):
        return tables.store(key, values.astype(jnp.float32) + 2.0**-12, "bfloat16"), None

    start = jnp.ones((64, 16), jnp.bfloat16)
    found, _ = jax.jit(lambda: jax.lax.scan(one, start, jax.random.split(jax.random.key(0), 10_000)))()
    np.testing.assert_allclose(np.mean(np.asarray(found, np.float32)), 1 + 10_000 / 4_096, rtol=0.01)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.0, -1.5, 3e38])
def test_rounding_leaves_what_bfloat16_has(value):
    found = tables.store(jax.random.key(0), jnp.full((4, 2), value, jnp.float32), "bfloat16")
    if value == 3e38:
        assert jnp.isfinite(found).all()
    else:
        np.testing.assert_array_equal(found.astype(jnp.float32), np.full((4, 2), value, np.float32))


def test_padding_reads_zeros_and_moves_nothing():
    spec = Table(5, 2)
    held = {"a": jnp.arange(12.0).reshape(6, 2)}
    ids = jnp.array([[3, tables.PADDING], [tables.PADDING, tables.PADDING], [-1, 3]])
    touched = {"a": rows.distinct(tables.row_ids(spec, ids).reshape(-1), spec.rows)}
    values = rows.take(Params(held, {}, {}), touched)
    for one in (held, rows.view(values, touched).tables):
        found = tables.lookup({"a": spec}, one, {"a": ids})["a"]
        np.testing.assert_array_equal(found, [[[6, 7], [0, 0]], [[0, 0], [0, 0]], [[10, 11], [6, 7]]])
    moved = rows.put(jax.random.key(0), Params(held, {}, {}), touched, jax.tree.map(lambda one: one + 1, values))
    np.testing.assert_array_equal(moved.tables["a"] - held["a"], np.isin(np.arange(6), [3, 5])[:, None] * np.ones(2))


@pytest.mark.parametrize(("batch", "same"), [("2", True), ("64", False)])
def test_above_the_break_even_auto_is_the_same_program_as_rows(build, knobs, config, split, batch, same):
    texts = []
    for update in ("auto", "rows"):
        changes = {"model__update": update, "model__name": "mf", "sampler__name": "uniform", "sampler__negatives": "4"}
        own, advance, state, data = build(config, split, optimizer__name="adagrad", train__batch=batch, **changes)
        texts.append(jax.jit(advance).lower(knobs(own), jax.random.key(0), state, data).as_text())
    assert (texts[0] == texts[1]) is same


@pytest.mark.parametrize(("update", "reads", "wanted"), [("auto", 10, True), ("auto", 13, False)])
def test_auto_goes_by_rows_for_each_read(update, reads, wanted):
    assert rows.BREAK_EVEN == 8
    table = Table(100, 2, update=update)
    assert rows.pays(table, reads) == wanted
    assert rows.pays(dataclasses.replace(table, update="rows"), 10**9)
    assert not rows.pays(dataclasses.replace(table, update="dense"), 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer__name": "lamb"}, "by what other rows have.*adagrad"),
        ({"optimizer__name": "adam"}, "optimizer.lazy=true"),
        ({"sampler__name": "full"}, "touches every row"),
        ({"penalties__l2": "0.1"}, "penalties.l2 reads whole tables.*query_l2"),
        ({"penalties__gravity": "0.1", "model__name": "mf"}, "gravity.estimate='exact' reads whole tables.*sogram"),
        ({"penalties__gravity": "0.1"}, "gravity.estimate='exact' reads whole tables.*sogram"),
    ],
)
def test_what_needs_whole_tables_is_refused_with_rows_and_dense_with_auto(
    build, changes, message, config, split, monkeypatch
):
    given = {"sampler__name": "uniform", "optimizer__name": "adagrad"} | changes
    with pytest.raises(InputError, match=message):
        build(config, split, model__update="rows", **given)
    if "sampler__name" not in changes:
        monkeypatch.setattr(rows, "BREAK_EVEN", 0)
        auto = build(config, split, model__update="auto", **given)[0]
        assert not train.parts(auto, split.train).by_rows


def test_the_full_sampler_leaves_the_other_tables_to_rows(build, knobs, config, split, monkeypatch):
    """Equal to dense training to the bit, and the query table is trained by rows."""
    monkeypatch.setattr(rows, "BREAK_EVEN", 0)
    seen, found = [], []
    choose = rows.choose
    monkeypatch.setattr(rows, "choose", lambda *given: seen.append(choose(*given)) or seen[-1])
    for update in ("auto", "dense"):
        changes = {"model__name": "mf", "sampler__name": "full", "optimizer__name": "adagrad"}
        own, advance, state, data = build(config, split, model__update=update, **changes)
        found.append(jax.jit(train.block(advance, 3))(knobs(own), jax.random.key(1), state, data)[0])
    assert [sorted(one) for one in seen] == [["query"], []]
    assert_same(*found)


def test_a_sweep_by_rows_equals_the_single_runs(build, knobs, config, split):
    """To 1e-4 relative after 3 steps: a mapped matrix product may sum in another order."""
    config, advance, state, data = build(
        config, split, model__update="rows", model__name="mf", sampler__name="uniform", optimizer__name="adagrad"
    )
    run, keys = train.block(advance, 3), jax.random.split(jax.random.key(3), 2)
    mapped, _ = jax.jit(jax.vmap(run, in_axes=(None, 0, None, None)))(knobs(config), keys, state, data)
    for trial, key in enumerate(keys):
        single, _ = jax.jit(run)(knobs(config), key, state, data)
        for name, table in single.params.tables.items():
            np.testing.assert_allclose(mapped.params.tables[name][trial], table, rtol=1e-4, atol=1e-5)


def test_memory_beyond_the_state_does_not_grow_with_the_table():
    """Ten times the rows: the temporaries of a donated block of steps stay the same, to the byte."""

    def temporaries(size):
        def step(state, key):
            held, sums = state
            ids = {"a": rows.distinct(jax.random.randint(key, (64,), 0, size), size)}
            values = rows.take(held, ids)
            gradient = jax.grad(lambda one: jnp.sum(one.tables["a"] ** 2))(values)
            updates, sums = rows.update(optax.adagrad(0.1), gradient, sums, values, ids)
            return (rows.put(key, held, ids, optax.apply_updates(values, updates)), sums), None

        def block(state, keys):
            return jax.lax.scan(step, state, keys)

        held = params(a=np.zeros((size, 16)))
        state, keys = (held, optax.adagrad(0.1).init(held)), jax.random.split(jax.random.key(0), 4)
        return jax.jit(block, donate_argnums=0).lower(state, keys).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(10_000) == temporaries(100_000)


def test_a_large_table_is_drawn_in_blocks():
    """Its rows have the expected norm, no two are the same, and it is the same for the same key."""
    spec = {"a": Table(2**16 + 1000, 4, scale=0.3, unknown=0)}
    table = np.asarray(jax.jit(lambda key: tables.init(key, spec)["a"])(jax.random.key(0)))
    assert table.shape == (2**16 + 1000, 4)
    assert len(np.unique(table, axis=0)) == len(table)
    np.testing.assert_allclose(np.mean(np.sum(table**2, -1)), 0.3**2, rtol=0.01)
    np.testing.assert_array_equal(table, tables.init(jax.random.key(0), spec)["a"])
