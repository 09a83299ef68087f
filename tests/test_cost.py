"""What a run will cost, and what is refused before it begins."""

import dataclasses
import re

import jax
import pytest

from recjax import compiled, configs, cost, fields
from recjax.errors import InputError

MF = {"model.name": "mf", "model.hidden": "256", "model.history": "50"}
WALS = MF | {"train.method": "wals", "train.batch": "512", "sampler.negatives": "1024"}


def test_a_report_counts_what_is_there(config):
    told = []
    parts = {part.name: part.bytes for part in cost.report(fields.override(config, MF), told.append)}
    numbers = 8 * (120 + 120)
    assert (parts["the parameters"], parts["the best parameters"]) == (4 * numbers, 4 * numbers)
    assert parts["the optimizer's state"] == 2 * 4 * numbers + 4  # Adam: two moments, and a count
    assert parts["a step's temporaries"] > 0
    assert f"{numbers:,} parameters" in told[0]
    assert re.search(r"a step: [\d.e+-]+ ms over 5 steps, [\d.,]+ MFLOP", told[2])


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        (
            MF | {"model.dimension": "100000000", "optimizer.name": "sgd"},
            "96,000 MB, is for the parameters: type a smaller",
        ),
        (
            WALS | {"model.dimension": "100000000"},
            "96,000 MB, is for the parameters: type a smaller --config.model.dimension",
        ),
        (
            MF | {"model.dimension": "100000", "model.storage": "bfloat16"},
            "the most, 192 MB, is for the optimizer's state: type --config.optimizer.name=rowwise_adagrad",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused_before_they_are_made(changes, advice, config, monkeypatch):
    monkeypatch.setattr(cost, "at_hand", lambda: 10**8)
    with pytest.raises(InputError, match=r"the run needs [\d,]+ MB and 100 MB are at hand; ") as caught:
        cost.report(fields.override(config, changes))
    assert advice in str(caught.value)


@pytest.mark.parametrize("most", ["a step's temporaries", "evaluation"])
def test_what_takes_the_most_is_named(most):
    advice = {"a step's temporaries": "--config.train.batch", "evaluation": "--config.evaluate.k"}
    parts = [cost.Part(name, 5 if name == most else 3, f"a smaller {one}") for name, one in advice.items()]
    cost.require(parts, 8)
    with pytest.raises(InputError, match=f"is for {most}: type a smaller {advice[most]}"):
        cost.require(parts, 7)


def test_baselines_with_a_number_a_pair_of_items_count(config):
    """Two matrices of 120 by 120, one of them twice while it is made, and the scores of a tile of 512 queries."""
    named = dataclasses.replace(config, baselines=configs.Baselines(("ease", "random", "item_knn")))
    (found,) = (part for part in cost.report(named, print) if part.name == "item_knn and ease")
    assert found.bytes == 4 * (3 * 120 * 120 + 512 * 120)
    assert "item_knn and ease" not in [part.name for part in cost.report(config, print)]


def test_memory_at_hand_is_some():
    assert 0 < cost.at_hand() < 2**50


def test_compiled_programs_are_kept_in_the_users_cache(tmp_path, monkeypatch):
    own = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled.keep()
    assert jax.config.jax_compilation_cache_dir == own  # one was named
    assert compiled.place().parent == tmp_path / "recjax"
    assert not compiled.place().exists()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert compiled.place().parent == tmp_path / "home" / ".cache" / "recjax"


def test_without_a_cache_of_ones_own_the_users_is_taken(tmp_path, monkeypatch):
    changes, told = {}, []
    monkeypatch.setattr(compiled.jax.config, "update", changes.__setitem__)
    monkeypatch.setattr(type(jax.config), "jax_compilation_cache_dir", None, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled.keep(told.append)
    assert changes["jax_compilation_cache_dir"] == str(compiled.place())
    assert compiled.place().is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compiled.keep(told.append)
    assert told[0].startswith("compiled programs are not kept: ")
