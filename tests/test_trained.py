"""A trained model in hand: the run's parameters, longer lists, and ranking among what another model retrieved."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest

from recjax import experiment, plots, runs, scores, trained
from recjax.errors import InputError


@pytest.fixture(scope="module")
def model(config):
    return trained.train(dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=1.0)))


def test_it_is_what_a_run_trains(model, tmp_path):
    outcome = experiment.run(model.config, workdir=str(tmp_path / "run"), echo=lambda text: None)
    for one, other in zip(jax.tree.leaves(model.params), jax.tree.leaves(outcome.params), strict=True):
        np.testing.assert_array_equal(one, other)
    held = model.split.test
    found = trained.means(trained.rank(model, held), held.known, model.config)
    assert {name: outcome.result["metrics"][name] for name in found} == found


@pytest.mark.parametrize(("weight", "told"), [(0.0, ""), (6.0, "older version, whose penalties.gone=6.0 this one")])
def test_a_run_of_an_older_version_is_read_if_what_is_gone_was_off(weight, told, model, tmp_path):
    outcome = experiment.run(model.config, workdir=str(tmp_path / "run"), echo=lambda text: None)
    result = dict(outcome.result)
    result["config"] = {**result["config"], "penalties": {**result["config"]["penalties"], "gone": weight}}
    runs.write_json(tmp_path / "run" / "result.json", result)
    with pytest.raises(InputError, match=told) if told else contextlib.nullcontext():
        found = trained.load(tmp_path / "run")
        np.testing.assert_array_equal(found.params.tables["item"], outcome.params.tables["item"])


def test_a_longer_list_begins_with_the_shorter(model):
    held = model.split.test
    short, long = trained.rank(model, held), trained.rank(model, held, most=30)
    assert (short.ids.shape[1], long.ids.shape[1]) == (10, 30)
    np.testing.assert_array_equal(short.ids, long.ids[:, :10])


def test_ranking_among_its_own_list_changes_nothing(model):
    held = model.split.test
    plain = trained.rank(model, held)
    again = trained.rank(model, trained.among(held, plain, 10))
    np.testing.assert_array_equal(plain.ids, again.ids)
    one, other = (trained.means(ranking, held.known, model.config) for ranking in (plain, again))
    assert {name: one[name] for name in other} == other
    assert {"recall@10", "coverage@10", "cross_group_share@10"} <= set(other)


def test_another_score_ranks_anew(model):
    held = model.split.test
    assert (trained.rank(model, held).ids != trained.rank(model, held, score=scores.cosine).ids).any()


def test_lines_are_drawn(tmp_path):
    line = {"0": {"mean": 1.0, "sd": 0.1}, "1": {"mean": 2.0, "sd": 0.1}}
    panels = [plots.Panel("one", "place", {"a": line, "b": {"1": line["1"], "none": line["0"]}})]
    plots.lines(tmp_path / "lines.png", panels)
    assert (tmp_path / "lines.png").read_bytes()[:4] == b"\x89PNG"
