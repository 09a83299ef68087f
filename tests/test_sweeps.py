"""Sweeps: what their text means, that their trials are the single runs, and that they survive what goes wrong."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from absl import logging

from recjax import configs, experiment, fields
from recjax.errors import InputError
from recjax.sweeps import engine, groups, memory, places, search, space, unit

BASE = configs.Config()


@pytest.mark.parametrize(
    ("texts", "grid"),
    [
        (["seed=0:2"], [{"seed": "0"}, {"seed": "1"}]),
        (["seed=1:6:2"], [{"seed": "1"}, {"seed": "3"}, {"seed": "5"}]),
        (["config.seed = 3, 5"], [{"seed": "3"}, {"seed": "5"}]),
        (["optimizer.learning_rate=1e-3,0.1"], [{"optimizer.learning_rate": one} for one in ("0.001", "0.1")]),
        (["data.repeats=true,0"], [{"data.repeats": "true"}, {"data.repeats": "false"}]),
        (["model.hidden=(256,128),64,()"], [{"model.hidden": one} for one in ("256,128", "64", "")]),
        (["objective.loss=softmax,mine:loss"], [{"objective.loss": one} for one in ("softmax", "mine:loss")]),
        (
            ["seed=0:2", "train.batch=32,64"],
            [{"seed": one, "train.batch": other} for one in ("0", "1") for other in ("32", "64")],
        ),
        (["seed=0:2; train.batch=32,64"], [{"seed": "0", "train.batch": "32"}, {"seed": "1", "train.batch": "64"}]),
    ],
)
def test_values_are_combined_and_go_together(texts, grid):
    found = space.trials(space.parse(texts, BASE), BASE, 0)
    assert [trial.overrides for trial in found] == grid
    assert [trial.config for trial in found] == [fields.override(BASE, one) for one in grid]


@pytest.mark.parametrize(
    ("texts", "draws", "message"),
    [
        (["optimizer.lerning_rate=1"], 0, "did you mean 'optimizer.learning_rate'"),
        (["seed"], 0, "gives 'seed' no values"),
        (["seed=0:0"], 0, "seed=0:0 is an empty range"),
        (["seed=0:4:0"], 0, "seed=0:4:0 is an empty range"),
        (["train.batch=32,many"], 0, "--config.train.batch=many: wanted a whole number"),
        (["objective.temperature=0"], 0, "wanted a value at least 1e-06"),
        (["seed=0:3; train.batch=32,64"], 0, "seed has 3, train.batch has 2 values; fields that go together"),
        (["seed=1", "seed=2"], 0, "seed is swept twice"),
        (["seed=1,1"], 0, "twice; wanted trials that differ"),
        (["optimizer.learning_rate=log_uniform(1e-4,1e-1)"], 0, "no --trials, and optimizer.learning_rate is drawn"),
        (["seed=0:2"], 5, "--trials=5, and nothing is drawn at random; leave it out"),
        (["optimizer.learning_rate=log_uniform(1e-1,1e-4)"], 1, "wanted the least and the most value of a field"),
        (["train.batch=log_uniform(1,2)"], 1, "wanted the least and the most value of a field of numbers"),
        (["model.name=uniform(1,2)"], 1, "wanted the least and the most value"),
        (["train.batch=choice(32,64,32)"], 3, "--trials=3, and the draws have 2 different values"),
    ],
)
def test_a_space_that_means_nothing_is_refused(texts, draws, message):
    with pytest.raises(InputError) as caught:
        space.trials(space.parse(texts, BASE), BASE, draws)
    assert message in str(caught.value)


def test_draws_are_always_the_same_and_meet_every_combination():
    texts = ["optimizer.learning_rate=log_uniform(1e-4,1e-1)", "train.batch=integers(32,64)", "seed=0:2"]
    parsed = space.parse([*texts, "sampler.name=choice(full,uniform)"], BASE)
    found = space.trials(parsed, BASE, 50)
    assert found == space.trials(parsed, BASE, 50)
    assert len(found) == 100
    drawn = [{name: one for name, one in trial.overrides.items() if name != "seed"} for trial in found]
    assert drawn[::2] == drawn[1::2]
    rates = np.array([trial.config.optimizer.learning_rate for trial in found])
    assert 1e-4 <= rates.min() < 1e-3 and 1e-2 < rates.max() <= 1e-1
    assert {trial.config.sampler.name for trial in found} == {"full", "uniform"}
    assert {32, 64} > {min(trial.config.train.batch for trial in found)} - set(range(33, 64))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("train.batch=choice(32,64,128)", ["32", "64", "128"]),
        ("model.dimension=integers(16,35)", [str(one) for one in range(16, 36)]),
    ],
)
def test_draws_differ_down_to_the_last(text, values):
    found = space.trials(space.parse([text], BASE), BASE, len(values))
    assert sorted(next(iter(one.overrides.values())) for one in found) == sorted(values)


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        (["seed=0:3", "optimizer.learning_rate=1e-3,1e-2", "objective.temperature=1,2"], [12]),
        (["penalties.l2=0,0.1,0.2"], [1, 2]),  # a weight of 0 is no part of the program
        (["seed=0:2", "model.dimension=8,16"], [2, 2]),
        (["data.seed=0:2"], [1, 1]),
        (["model.start=a,b"], [1, 1]),
    ],
)
def test_trials_that_differ_in_knobs_and_seeds_are_one_program(texts, sizes):
    trials = space.trials(space.parse(texts, BASE), BASE, 0)
    assert [len(one) for one in groups.group(trials, 100)] == sizes
    assert [trial for one in groups.group(trials, 2) for trial in one] != []
    assert max(len(one) for one in groups.group(trials, 2)) <= 2


WALS = {"model.name": "mf", "model.hidden": "256", "train.method": "wals", "train.batch": "512"}
WALS |= {"sampler.negatives": "1024", "wals.fold_in": "true", "data.split": "queries_out", "data.share": "0.2"}
MF = {"model.name": "mf", "model.hidden": "256", "sampler.name": "adaptive", "gravity.estimate": "sogram"}
PROGRAMS = {
    "gradient": (MF | {"train.epochs": "1"}, ["optimizer.learning_rate=1e-2,0.1", "penalties.gravity=1; seed=3"]),
    "wals": (
        WALS | {"train.patience": "1"},
        ["wals.regularization=1e-3,0.1", "wals.unobserved_weight=0.1,1; seed=0,1"],
    ),
}


@pytest.fixture(scope="module", params=PROGRAMS)
def swept(request, config, tmp_path_factory):
    """The trials of a program, and where they were run: alone, as map, as vmap."""
    overrides, texts = PROGRAMS[request.param]
    base, place = fields.override(config, overrides), tmp_path_factory.mktemp("swept")
    trials = space.trials(space.parse(texts, base), base, 0)
    assert len(groups.group(trials, 100)) == 1
    for way in ("map", "vmap"):
        seen = []
        unit.run(unit.Unit("it", place / way, tuple(trials), way, 0.0), seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == len(trials)
    for trial in (trials[0], trials[-1]):
        experiment.run(trial.config, "it", str(place / "alone" / trial.name), lambda text: None)
    return place, [trials[0], trials[-1]]


def load(place):
    with np.load(place / "parameters.npz") as arrays:
        return json.loads((place / "result.json").read_text()), dict(arrays)


def lines(place):
    return [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]


def test_one_after_another_trials_are_the_single_runs_to_the_bit(swept):
    place, trials = swept
    for trial in trials:
        alone, ours = place / "alone" / trial.name, place / "map" / "trials" / trial.name
        (expected, tables), (found, own) = load(alone), load(ours)
        checkpoints = {"checkpoints", *(path.name for path in alone.glob("checkpoints/*"))}  # of single runs alone
        assert {path.name for path in alone.rglob("*")} - checkpoints == {path.name for path in ours.rglob("*")}
        assert all(np.array_equal(own[name], tables[name]) for name in tables)
        timed = {"timing", "curve", "program"}
        assert {name: value for name, value in found.items() if name not in timed} == {
            name: value for name, value in expected.items() if name not in timed
        }
        for line, other in zip(lines(ours), lines(alone), strict=True):
            assert {**line, "seconds": 0} == {**other, "seconds": 0}


def test_side_by_side_trials_are_the_single_runs_but_for_rounding(swept):
    place, trials = swept
    for trial in trials:
        (expected, tables), (found, own) = (
            load(place / "alone" / trial.name),
            load(place / "vmap" / "trials" / trial.name),
        )
        assert found["program"] == "vmap"
        assert (found["steps"], found["best_step"]) == (expected["steps"], expected["best_step"])
        for name, table in tables.items():
            np.testing.assert_allclose(own[name], table, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found["metrics"]["ndcg@10"], expected["metrics"]["ndcg@10"], atol=0.01)


SMALL = {
    "data.world.queries": "120",
    "data.world.items": "120",
    "data.world.groups": "3",
    "model.name": "mf",
    "model.dimension": "4",
    "train.batch": "32",
    "train.epochs": "1",
    "evaluate.pairs": "50",
    "evaluate.rank": "4",
}
GIVEN = [f"--config.{name}={value}" for name, value in SMALL.items()]


@pytest.fixture
def run(launched, tmp_path, monkeypatch):
    """Launches as a user does, other processes too."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    # submitit clears all logging handlers, and absl's would close the file that pytest gave it as the standard error.
    monkeypatch.setattr(logging.get_absl_handler().python_handler, "stream", sys.__stderr__)

    return launched


# A loss that takes its process with it, once, where the process is a worker.
KILLED = """
import os, pathlib, signal
from recjax import losses

killed = pathlib.Path("killed")
if "SUBMITIT_FOLDER" in os.environ and not killed.exists():
    killed.touch()
    os.kill(os.getpid(), signal.SIGKILL)

def loss(positive, negative, *, target, where, log_weight):
    return losses.softmax(positive, negative, target=target, where=where, log_weight=log_weight)
"""
WRONG = "--sweep=objective.loss=softmax,softmax,softmax,mine:loss; optimizer.learning_rate=0.1,1e30,0.1,0.1; "
WRONG += "model.dimension=4,4,1000000,4"


def test_what_goes_wrong_in_a_trial_is_named_and_the_others_go_on(run, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(KILLED)
    given = [one for one in GIVEN if "dimension" not in one]
    arguments = [*given, "--config.optimizer.name=sgd", WRONG, "--sweep=seed=0:2", "--memory=0.5", "--workdir=here"]
    assert run(*arguments, "--executor=pool", "--processes=3") == 4
    told = capsys.readouterr().out
    assert "2 of 8 trials completed" in told
    for failed in (
        "failed: trials 002, 003: loss is not finite at step",
        "failed: trials 004, 005: the trial takes",
        "failed: trials 006, 007: its process was killed or broke, together with the others of its program",
    ):
        assert failed in told
    before = (tmp_path / "here/trials/000/result.json").read_bytes()
    # Again: only what is missing, and what may now fit.
    assert run(*arguments) == 4
    told = capsys.readouterr().out
    assert "8 trials, 4 to run, 2 programs" in told
    assert "4 of 8 trials completed" in told
    assert (tmp_path / "here/trials/000/result.json").read_bytes() == before
    sweep = json.loads((tmp_path / "here/sweep.json").read_text())
    assert [trial["status"] for trial in sweep["trials"]] == ["completed"] * 2 + ["failed"] * 4 + ["completed"] * 2
    with (tmp_path / "here/trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == [f"{number:03d}" for number in range(8)]
    assert rows[6]["objective.loss"] == "mine:loss" and rows[6]["folder"] == "trials/006"
    assert float(rows[0]["ndcg@10"]) == json.loads(before)["metrics"]["ndcg@10"]
    assert run(*arguments, "--config.train.epochs=2") == 2
    assert "holds another sweep (train.epochs: there 1.0, here 2.0)" in capsys.readouterr().err


SWEEP = """
from recjax import configs
from recjax.sweeps.space import Sweep

def get_sweep():
    return Sweep(configs.Config(), ("optimizer.learning_rate=0.01,0.1", "seed=0:2"))
"""


def test_a_sweep_of_a_file_ends_with_its_table_and_the_best_trials_command(run, tmp_path, capsys):
    (tmp_path / "own.py").write_text(SWEEP)
    assert run("--config=own.py", *GIVEN, "--workdir=here") == 0
    told = capsys.readouterr().out
    results = [json.loads((tmp_path / f"here/trials/{one:03d}/result.json").read_text()) for one in range(4)]
    values = [one["metrics"]["ndcg@10"] for one in results[2:]]
    row = next(line for line in told.splitlines() if line.startswith("| learning_rate 0.1 "))
    assert f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}".replace("0.", ".") in row
    best = max(range(4), key=lambda one: results[one]["metrics"]["validation_ndcg@10"])
    assert f"best on validation: trial {best:03d}" in told
    command = told.split("best on validation: ")[1].splitlines()[1]
    assert run(*shlex.split(command)[2:], "--workdir=alone") == 0
    alone = json.loads((tmp_path / "alone/result.json").read_text())
    assert alone["metrics"] == results[best]["metrics"]
    assert {one["program"] for one in results} == {"map"}  # a few steps are not worth a second program


def test_a_search_tries_what_validation_suggests_and_goes_on_where_it_stopped(run, tmp_path, capsys, monkeypatch):
    drawn = ["--sweep=optimizer.learning_rate=log_uniform(1e-3,1)", "--sweep=seed=0:2", "--search=optuna"]
    arguments = [*GIVEN, *drawn, "--trials=3", "--at_once=2", "--workdir=here"]
    stop = places.waiting
    monkeypatch.setattr(places, "waiting", lambda folder, some: stop(folder, some) if some[0].name == "000" else 1 / 0)
    with pytest.raises(ZeroDivisionError):  # stopped while the second program was about to start
        run(*arguments)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    first = (tmp_path / "here/trials/000/result.json").read_bytes()
    assert run(*arguments) == 0
    told = capsys.readouterr().out
    assert "6 of 6 trials completed" in told
    assert (tmp_path / "here/trials/000/result.json").read_bytes() == first
    trials = json.loads((tmp_path / "here/sweep.json").read_text())["trials"]
    rates = [float(trial["overrides"]["optimizer.learning_rate"]) for trial in trials]
    assert rates[::2] == rates[1::2]
    assert len(set(rates)) == 3
    assert all(1e-3 <= rate <= 1 for rate in rates)


@pytest.fixture
def searched(tmp_path):
    """A search whose trials have the result that a function of (rate, seed) says; None: it failed."""
    parsed = space.parse(["optimizer.learning_rate=log_uniform(1e-4,1e-1)", "seed=0:2"], BASE)

    def go(name, value, *, batches=None):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        left = [batches]

        def train(trials, fresh):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] = None if left[0] is None else left[0] - 1
            for trial in fresh:
                found = value(trial.config.optimizer.learning_rate, trial.config.seed)
                place = places.place(folder, trial)
                place.mkdir(parents=True, exist_ok=True)
                metrics = {} if found is None else {"validation_ndcg@10": found}
                (place / "result.json").write_text(json.dumps({"metrics": metrics}))

        trials = search.run(folder, BASE, parsed, 12, 4, train)
        return [trial.config.optimizer.learning_rate for trial in trials[::2]], search._study(folder).trials

    return go


@pytest.mark.parametrize("batches", [1, 2])
def test_a_search_that_was_stopped_tries_what_it_would_have_tried(batches, searched):
    def value(rate, seed):
        return -abs(np.log(rate / 0.01)) + seed

    unbroken, _ = searched("unbroken", value)
    with pytest.raises(KeyboardInterrupt):
        searched("stopped", value, batches=batches)
    assert searched("stopped", value)[0] == unbroken
    assert len(unbroken) == 12


def test_a_point_is_not_judged_by_the_seeds_that_survived(searched):
    rates, told = searched("some", lambda rate, seed: None if rate > 0.01 and seed else 1.0)
    states = [one.state.name for one in told]
    assert states == ["FAIL" if rate > 0.01 else "COMPLETE" for rate in rates]
    assert set(states) == {"FAIL", "COMPLETE"}


def told_of(folder, text, results):
    """What a sweep's end tells of these results, by trial; None: it failed."""
    told: list[str] = []
    parsed = space.parse(text, BASE)
    rows = []
    for trial, metrics in zip(space.trials(parsed, BASE, 0), results, strict=True):
        rows.append({"name": trial.name, "overrides": trial.overrides, "error": "no reason"})
        rows[-1]["status"] = "failed" if metrics is None else "completed"
        place = places.place(folder, trial)
        place.mkdir(parents=True)
        (place / "result.json").write_text(json.dumps({"metrics": metrics or {}, "command": "python launch.py"}))
    engine.report(folder, rows, parsed, BASE, engine.Command("mine", ()), told.append)
    return told


def test_trials_that_were_chosen_otherwise_have_no_best(tmp_path):
    results = [{f"validation_{select}": 0.1, "ndcg@10": 0.1} for select in ("ndcg@10", "recall@10")]
    told = told_of(tmp_path, ["evaluate.select=ndcg@10,recall@10"], results)
    assert "select recall@10" in told[0]
    assert told[1].startswith("2 of 2 trials completed")


def test_a_row_says_of_how_many_trials_it_is(tmp_path):
    known = {"validation_ndcg@10": 0.1, "ndcg@10": 0.1}
    told = told_of(tmp_path, ["train.batch=32,64", "seed=0:3"], [known, None, known, known, known, known])
    assert "| batch 32 (2 of 3) |" in told[0]
    assert re.search(r"\| batch 64 +\|", told[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sweep=seed=0:2", "--search=optuna"], "--search chooses among random draws and nothing is drawn"),
        (["--sweep=seed=0:2", "--config.seed=1"], "--config.seed=1 and --sweep=seed: leave one of them out"),
        (["--sweep=objective.margin=1,2"], "objective.margin is 2.0, which objective.loss='softmax' does not read"),
        (["--sweep=gravity.alpha=0.1,0.2"], "gravity.alpha is 0.2, which penalties.gravity=0 does not read"),
        (["--sweep=sampler.name=full,unifrom"], "unknown sampler 'unifrom'; did you mean 'uniform'"),
        (["--sweep=seed=0:2", "--slurm=timeout_min=5"], "--slurm is given and --executor=here"),
        (["--sweep=seed=0:2", "--config=experiments/folding.py"], "--sweep is for one config"),
    ],
)
def test_a_sweep_that_cannot_run_leaves_no_folder(arguments, message, run, tmp_path, capsys):
    assert run(*GIVEN, *arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_budget_says_how_many_trials_fit(config, split):
    assert memory.budget(2.0) == 2_000_000_000
    assert memory.budget(0.0) > 100_000_000
    mf = fields.override(config, {"model.name": "mf", "model.hidden": "256"})
    rows = sum(len(split.train.vocabularies[one]) for one in ("query", "item"))
    adam = 4 * 4 * rows * config.model.dimension  # the table, its best copy, two moments
    assert 0 <= memory.least(mf, split.train) - adam < 100


def test_slurm_runs_a_sweep(run, tmp_path, capsys):
    if shutil.which("sbatch") is None:
        pytest.skip("Slurm is not installed: bash docs/slurm.sh does it")
    if "is UP" not in subprocess.run(["scontrol", "ping"], capture_output=True, text=True, check=False).stdout:
        pytest.skip("Slurm is installed and not running: bash docs/slurm.sh starts it")
    assert run(*GIVEN, "--sweep=seed=0:2", "--executor=slurm", "--slurm=timeout_min=5", "--workdir=here") == 0
    assert "2 of 2 trials completed" in capsys.readouterr().out
    assert list((tmp_path / "here/jobs").glob("*_submission.sh"))
