"""Each method gives a start that the run loop serves, and refuses what it would not read."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from recjax import baselines, configs, evaluate, fields, fit, least_squares, methods, splits, train, trained, wals
from recjax.clock import Clock
from recjax.errors import InputError


@pytest.fixture(scope="module")
def alternating(config):
    """The small config of the session, for WALS."""
    return configs.Config(
        data=config.data,
        model=configs.Model(name="mf", dimension=8),
        wals=configs.Wals(unobserved_weight=0.1, regularization=0.02),
        train=configs.Train(method="wals", epochs=3.0),
        evaluate=config.evaluate,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.method": "wal"}, "unknown method 'wal'; did you mean 'wals'"),
        ({"train.method": "builtins:dict"}, "dict"),
        ({"model.name": "softmax_dnn"}, "type --config.model.name=mf or --config.train.method=gradient"),
        ({"sampler.negatives": "7"}, "sampler.negatives is 7, which train.method='wals' does not read; leave it out"),
        ({"penalties.l2": "0.5"}, "or type --config.penalties.l2=0.0"),
        ({"train.batch": "7"}, "train.batch is 7"),
        ({"wals.solver": "chol"}, "unknown solver 'chol'; did you mean 'cholesky'"),
        ({"wals.block": "16"}, "wals.block is 16, which wals.solver='cg' does not read"),
        ({"wals.solver": "block", "wals.steps": "5"}, "wals.steps is 5, which wals.solver='block' does not read"),
        ({"train.method": "gradient"}, "wals.unobserved_weight is 0.3, which train.method='gradient' does not read"),
    ],
)
def test_what_would_not_be_read_is_refused(changes, message, alternating, split):
    given = fields.override(alternating, {"wals.unobserved_weight": "0.3"} | changes)
    with pytest.raises((InputError, TypeError), match=message):
        fit.start(given, split.train)


def test_a_pair_that_is_observed_twice_is_refused_where_it_would_count_twice(alternating, split):
    twice = split.train._replace(
        interactions=type(split.train.interactions)(
            *(np.repeat(part, 2) for part in split.train.interactions[:3]), None
        )
    )
    course = fields.override(alternating, {"wals.all_pairs": "false"})
    with pytest.raises(InputError, match=r"type --config.data.repeats=false or --config.wals.all_pairs=true"):
        methods.wals(course, twice)
    methods.wals(alternating, twice)


def test_every_knob_of_wals_reaches_the_program(alternating, split):
    start = methods.wals(alternating, split.train)
    run = jax.jit(start.advance)
    after = run(start.knobs, start.key, start.state, start.data)[0]
    for name in [one for one in start.knobs if one.startswith("wals.")]:
        changed = run(start.knobs | {name: start.knobs[name] * 2}, start.key, start.state, start.data)[0]
        assert not np.array_equal(changed.params.tables["item"], after.params.tables["item"]), name


def test_tables_are_stored_as_the_config_says_and_judged_in_float32(alternating, split):
    start = methods.wals(fields.override(alternating, {"model.storage": "bfloat16"}), split.train)
    state, metrics = jax.jit(train.block(start.advance, 2))(start.knobs, start.key, start.state, start.data)
    assert {table.dtype for table in state.params.tables.values()} == {jnp.dtype("bfloat16")}
    chex.assert_tree_all_finite(metrics)
    judgement = evaluate.prepare(split.validation)
    judge = jax.jit(evaluate.ranker(start.retriever, alternating.evaluate, 6))
    ranking = evaluate.rank(judge, (state.params, start.knobs, start.serving(split.validation)), judgement)
    assert ranking.queries.dtype == ranking.items.dtype == jnp.float32
    assert np.array_equal(ranking.items, state.params.tables["item"].astype(jnp.float32))


def test_new_queries_are_judged_by_fold_in(alternating, dataset):
    """Their embeddings are the minimum of the objective with the items fixed: its gradient by them is 0 (1e-5 of its
    data term's), and they retrieve better than popularity."""
    given = fields.override(alternating, {"wals.fold_in": "true", "data.split": "queries_out", "data.share": "0.2"})
    split = splits.queries_out(dataset, given.data)
    start = methods.wals(given, split.train)
    state, _ = jax.jit(train.block(start.advance, 5))(start.knobs, start.key, start.state, start.data)
    params = start.retriever.ready((state.params, start.knobs, start.serving(split.test)))
    judged = np.unique(split.test.relevant.query)
    known = split.test.known.interactions
    own = np.isin(known.query, judged)
    seen = type(known)(*(part[own] for part in known[:3]), None)
    numbers = wals.coefficients(start.knobs, given.wals)

    def part(queries, which):
        return sum(least_squares.objective(queries, params.tables["item"], seen, numbers)[:which])

    whole, data = (np.asarray(jax.grad(part)(params.tables["query"], which))[judged] for which in (3, 1))
    assert np.linalg.norm(whole) < 1e-5 * np.linalg.norm(data)
    others = np.setdiff1d(np.arange(len(params.tables["query"])), judged)
    assert np.array_equal(params.tables["query"][others], state.params.tables["query"][others])
    rankings = {
        "wals": trained.judge(
            start.retriever, (state.params, start.knobs, start.serving(split.test)), split.test, given
        ),
        "popularity": trained.beside(baselines.popularity, split.test, given),
    }
    found = {name: evaluate.means(one, split.test.known, given.evaluate)["recall@10"] for name, one in rankings.items()}
    assert found["wals"] > found["popularity"]


def test_a_split_without_validation_keeps_the_last_step(alternating, split):
    start = fit.start(alternating, split.train)
    lines = []
    found = fit.fit(alternating, start, None, Clock(), log=lines.append, echo=pytest.fail)
    assert found.progress.best_step == found.progress.step == 3
    assert [line["step"] for line in lines] == [1, 2, 3]
    again = fit.start(alternating, split.train)
    state, _ = jax.jit(train.block(again.advance, 3))(again.knobs, again.key, again.state, again.data)
    chex.assert_trees_all_close(found.params, state.params, rtol=1e-5)


def test_the_seed_decides_the_tables(alternating, split):
    one, same, other = (
        methods.wals(dataclasses.replace(alternating, seed=seed), split.train).state.params.tables["item"]
        for seed in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
