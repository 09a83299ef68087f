"""What a run leaves, another may start from: WALS from gradients and the reverse; what does not fit is refused."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from recjax import configs, experiment, fields, parameters, preparation
from recjax.errors import InputError
from recjax.types import Params


def quiet(text):
    pass


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(config, tmp_path_factory):
    """A run of each method, and one of each that starts from the other."""
    base = configs.Config(data=config.data, model=configs.Model(name="mf", dimension=8), evaluate=config.evaluate)
    method = {
        "gradient": {"train.epochs": "3", "train.batch": "32", "objective.loss": "squared", "sampler.name": "none"},
        "wals": {"train.method": "wals", "train.epochs": "3"},
    }
    folder = tmp_path_factory.mktemp("runs")
    for name, changes in method.items():
        experiment.run(fields.override(base, changes), name, str(folder / name), quiet)
    for name, other in (("gradient", "wals"), ("wals", "gradient")):
        given = fields.override(base, method[name] | {"model.start": str(folder / other), "train.epochs": "1"})
        experiment.run(given, name, str(folder / f"{name}-from-{other}"), quiet)
    return base, folder


def test_a_run_starts_from_the_tables_of_another(runs):
    base, folder = runs
    given = dataclasses.replace(base, model=dataclasses.replace(base.model, start=str(folder / "wals")))
    tables = preparation.prepare(given).start.state.params.tables
    left = np.load(folder / "wals" / "parameters.npz")
    for name in ("query", "item"):
        assert np.array_equal(tables[name], left[f"tables/{name}"])


def test_wals_goes_on_from_gradients_and_does_not_begin_anew(runs):
    """The first iteration's objective is below that from new tables, and a wholly converged one is below both."""
    _, folder = runs
    anew, warm = (read_lines(folder / name / "metrics.jsonl")[0]["loss"] for name in ("wals", "wals-from-gradient"))
    assert warm < anew


def test_gradients_go_on_from_wals(runs):
    _, folder = runs
    anew, warm = (read_lines(folder / name / "metrics.jsonl")[0]["loss"] for name in ("gradient", "gradient-from-wals"))
    assert warm < anew


PARAMS = Params({"item": jnp.zeros((3, 2)), "query": jnp.ones((4, 2), jnp.bfloat16)}, {"bias": jnp.zeros(2)}, ())


def test_flatten_names_every_array_by_its_path_in_types_that_a_file_can_hold():
    flat = parameters.flatten(PARAMS)
    assert set(flat) == {"tables/item", "tables/query", "query/bias"}
    assert flat["tables/query"].dtype == np.float32


def test_restore_takes_the_tables_that_are_there_and_leaves_the_rest():
    found = parameters.restore(PARAMS, {"tables/item": np.full((3, 2), 7.0)}, "there")
    assert np.array_equal(found.tables["item"], np.full((3, 2), 7.0))
    assert found.tables["query"] is PARAMS.tables["query"]
    assert found.query is PARAMS.query


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"tables/item": np.zeros((3, 5))},
            r"tables/item is \(3, 5\) in there and \(3, 2\) here; wanted the same data",
        ),
        ({"tables/other": np.zeros(3)}, "there has tables/other; wanted one of tables/item, tables/query"),
    ],
)
def test_tables_that_do_not_fit_are_refused(arrays, message):
    with pytest.raises(InputError, match=message):
        parameters.restore(PARAMS, arrays, "there")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.start": "nowhere"}, r"model.start=nowhere: nowhere.result.json cannot be read"),
        ({"data.world.seed": "1"}, "wanted a run on the same data"),
        ({"data.split": "share_out"}, "it may have seen what is held out here; type --config.data.split=last_out"),
        ({"model.dimension": "9"}, r"tables/(query|item) is \(120, 8\)"),
    ],
)
def test_a_start_from_another_world_or_split_is_refused(changes, message, runs):
    base, folder = runs
    with pytest.raises(InputError, match=message):
        preparation.prepare(fields.override(base, {"model.start": str(folder / "wals")} | changes))


def test_a_damaged_file_is_refused(runs, tmp_path):
    _, folder = runs
    (tmp_path / "parameters.npz").write_bytes((folder / "wals" / "parameters.npz").read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read"):
        parameters.load(str(tmp_path))
