"""The command line: a run from flags to its folder, and every bad input in one message."""

import html
import json
import pathlib
import re
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

import launch
from recjax import configs, evaluate, fields, fit, parameters, preparation, resume, study
from recjax.errors import InputError, Interrupted

ROOT = pathlib.Path(__file__).parents[1]
SMALL = [
    "--config.data.world.queries=120",
    "--config.data.world.items=120",
    "--config.data.world.groups=3",
    "--config.model.dimension=8",
    "--config.model.hidden=12",
    "--config.train.batch=32",
    "--config.train.block=7",
    "--config.train.epochs=1",
    "--config.evaluate.pairs=50",
    "--config.evaluate.rank=4",
]
RESULT = {
    "status", "experiment", "command", "config", "seed", "data", "environment", "best_step", "steps", "metrics",
    "curve", "interval", "slices", "standard_error", "refused", "diagnosis", "baselines", "timing",
}  # fmt: skip


@pytest.fixture
def run(launched):
    """Launches one of our experiments."""

    def call(*arguments, config="softmax"):
        return launched(*([f"--config={ROOT / 'experiments' / config}.py"] if config else []), *arguments)

    return call


def read(path):
    return json.loads(path.read_text())


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("setup", ["mf", "softmax", "two_tower"])
def test_a_run_leaves_a_whole_folder(setup, run, tmp_path, capsys):
    small = [one for one in SMALL if setup != "mf" or "hidden" not in one]
    assert run("--workdir=here", *small, config=setup) == 0
    folder = tmp_path / "here"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert {path for path in found if not path.startswith("checkpoints/step-")} == {
        "config.json", "metrics.jsonl", "result.json", "parameters.npz", "queries.npz", "offenders.csv",
        "report.html", "checkpoints",
        "plots", "plots/curves.png", "plots/embeddings.png", "plots/scores.png",
    }  # fmt: skip
    result = read(folder / "result.json")
    assert set(result) == RESULT
    assert (result["status"], result["experiment"], result["seed"]) == ("completed", setup, 0)
    assert set(result["data"]) == {
        "name", "queries", "items", "interactions", "density", "duplicates", "repeats", "first", "last", "head_1",
        "head_10", "parts", "left_out", "cold_queries", "cold_items", "order", "fingerprint",
    }  # fmt: skip
    assert set(result["timing"]) == {
        "compile_s", "train_s", "evaluate_s", "relatedness_s", "baselines_s", "folding_s", "diagnosis_s",
        "checkpoint_s", "steps_per_s", "examples_per_s",
    }  # fmt: skip
    assert set(result["standard_error"]) < set(result["metrics"])
    assert set(result["environment"]) == {"python", "jax", "device", "version"}
    assert {"recall@10", "ndcg@20", "mrr@10", "coverage@10", "mean_popularity@10", "cross_group_share@10"} <= set(
        result["metrics"]
    )
    assert set(result["baselines"]) == {"popularity", "random"}
    assert (folder / "offenders.csv").read_text().startswith("query,item,rank,score,relatedness,popularity,why\n")
    assert set(result["diagnosis"]) == {
        "collapse", "retrieved", "relevant", "dead_rows", "never_trained", "negatives",
    }  # fmt: skip
    config = read(folder / "config.json")
    assert config == {"experiment": setup, **result["config"]}
    table = capsys.readouterr().out
    assert all(f"| {name}" in table for name in ("popularity", "random"))

    blocks = [line for line in lines(folder / "metrics.jsonl") if "split" not in line]
    judged = [line for line in lines(folder / "metrics.jsonl") if "split" in line]
    assert [line["step"] for line in blocks] == [*range(7, result["steps"], 7), result["steps"]]
    assert result["best_step"] == max(judged, key=lambda line: line["ndcg@10"])["step"]
    assert [(one["step"], one["ndcg@10"]) for one in result["curve"]] == [
        (line["step"], line["ndcg@10"]) for line in judged
    ]
    assert all({"cross_group_auc", "cross_group_excess"} <= set(line["standard_error"]) <= set(line) for line in judged)


def test_the_parameters_that_are_kept_are_those_of_the_best_step(run, tmp_path):
    """Their validation metrics, computed anew, are the line of the best step, which is not the last."""
    rate = ["--config.optimizer.learning_rate=0.1", "--config.train.evaluate=0.2", "--config.train.epochs=6"]
    assert run("--workdir=here", *[one for one in SMALL if "epochs" not in one], *rate) == 0
    result = read(tmp_path / "here" / "result.json")
    assert result["best_step"] < result["steps"]
    overrides = dict(one.removeprefix("--config.").split("=") for one in SMALL)
    prepared = preparation.prepare(fields.override(configs.Config(), overrides))
    params = prepared.start.state.params
    kept = np.load(tmp_path / "here" / "parameters.npz")
    names = list(parameters.flatten(params))
    params = jax.tree.unflatten(jax.tree.structure(params), [kept[name] for name in names])
    settings = prepared.config.evaluate
    judge = jax.jit(evaluate.ranker(prepared.start.retriever, settings, prepared.config.model.history))
    ranking = evaluate.rank(judge, (params, prepared.start.knobs, {}), evaluate.prepare(prepared.split.validation))
    found = evaluate.means(ranking, prepared.split.validation.known, settings)
    line = next(
        line
        for line in lines(tmp_path / "here" / "metrics.jsonl")
        if "split" in line and line["step"] == result["best_step"]
    )
    assert found == {name: line[name] for name in found}


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(run, tmp_path):
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert run(f"--workdir={folder}", f"--config.seed={seed}", *SMALL) == 0
    results = {folder: read(tmp_path / folder / "result.json") for folder in "abc"}
    arrays = {folder: np.load(tmp_path / folder / "parameters.npz") for folder in "abc"}
    assert results["a"]["metrics"] == results["b"]["metrics"]
    assert results["a"]["metrics"] != results["c"]["metrics"]
    assert results["a"]["data"] == results["c"]["data"]
    assert set(arrays["a"]) >= {"tables/item", "tables/country", "query/layers/0/kernel"}
    for name in arrays["a"]:
        np.testing.assert_array_equal(arrays["a"][name], arrays["b"][name])


def test_a_run_judges_queries_of_which_nothing_is_known(run, tmp_path):
    cold = ["--config.data.split=cold_queries", "--config.data.share=0.2"]
    assert run("--workdir=here", *SMALL, *cold, config="two_tower") == 0
    result = read(tmp_path / "here" / "result.json")
    assert result["data"]["cold_queries"] == 1.0
    assert "wanted queries with a history" in result["refused"]["folding_excess"]
    assert "random_pair_auc" in result["metrics"]


def test_training_stops_when_validation_does_not_improve(run, tmp_path):
    patient = ["--config.train.patience=2", "--config.train.epochs=500", "--config.train.evaluate=0.05"]
    assert run("--workdir=here", *[one for one in SMALL if "epochs" not in one], *patient) == 0
    result = read(tmp_path / "here" / "result.json")
    judged = [line for line in lines(tmp_path / "here" / "metrics.jsonl") if "split" in line]
    assert result["steps"] == judged[-1]["step"] < 20_000
    assert [line["step"] for line in judged].index(result["best_step"]) == len(judged) - 3


def test_without_a_workdir_each_run_gets_a_new_one(run, tmp_path, capsys):
    """With that of a completed run the same command tells what was found, and another is refused."""
    assert run(*SMALL) == 0
    told = capsys.readouterr().out
    assert run(*SMALL) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["softmax-1", "softmax-2"]
    capsys.readouterr()
    assert run("--workdir=runs/softmax-1", *SMALL) == 0
    table, rest = capsys.readouterr().out.rsplit("|\n", 1)
    assert table in told
    assert rest == "runs/softmax-1 is completed: nothing is left to do\n"
    assert run("--workdir=runs/softmax-1", *SMALL, "--config.train.batch=33") == 2
    assert "config.json is of another run: train.batch is 32 there and 33 here; wanted" in capsys.readouterr().err


def test_without_times_the_order_is_said_to_be_unknown(run, tmp_path):
    assert run("--workdir=here", "--config.data.split=share_out", *SMALL) == 0
    assert read(tmp_path / "here" / "result.json")["data"]["order"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.optimizer.lerning_rate=1"], "did you mean 'optimizer.learning_rate'"),
        (["--config.modle.hidden=1"], "did you mean 'model.hidden'"),
        (["--config.train.batch=many"], "--config.train.batch=many: wanted a whole number"),
        (["--config.model.tied=maybe"], "--config.model.tied=maybe: wanted true or false"),
        (["--config.model.hidden=64,0"], "config field 'model.hidden' is 0; wanted a value at least 1"),
        (
            ["--config.objective.temperature=0"],
            "'objective.temperature' is 0.0; wanted a value at least 1e-06",
        ),
        (["--config.train.epochs=nan"], "config field 'train.epochs' is nan; wanted a finite number"),
        (["--config.objective.loss=sofmax"], "unknown loss 'sofmax'; did you mean 'softmax'"),
        (["--config.objective.loss=nowhere:loss"], "loss 'nowhere:loss' was not found"),
        (["--config.data.name=movielens"], "unknown data set 'movielens'; did you mean 'movielens_1m'"),
        (["--config.data.name=movielens_1m"], "data.name='movielens_1m' needs data.path; wanted the folder of"),
        (["--config.data.name=movielens_1m", "--config.data.path=no"], "data.path='no' has no ratings.dat"),
        (["--config.data.name=movielens_1m_ncf"], "data.name='movielens_1m_ncf' needs data.path; wanted the folder of"),
        (["--config.data.split=ncf"], "data.split='ncf' is read from the files of movielens_1m_ncf and data.name is"),
        (["--config.data.split=last"], "unknown split 'last'; did you mean 'last_out'"),
        (["--config.data.split=share_out", "--config.data.share=0.001"], "the validation split is empty"),
        (["--config.evaluate.k=10,2001"], "the corpus has 2000 items; wanted cut-offs from 1 to 2000"),
        (["--config.evaluate.select=ndcg@5"], "unknown metric in evaluate.select 'ndcg@5'"),
        (["--wrokdir=x"], "unknown flag '--wrokdir'; did you mean '--workdir'"),
        (["--config.seed"], "--config.seed has no value; type --config.seed=VALUE"),
        (["--save=x"], "--save=x is for a study"),
        (["--arm=x"], "--arm=['x'] is for a study"),
        (["--trials=5"], "--trials=5 is for a sweep; name what varies"),
        (["--executor=slurm"], "--executor=slurm is for a sweep"),
        (
            ["--config.data.path=data/ml-1m"],
            "data.name='languages' is drawn, not read; type for example --config.data.name=m",
        ),
        (["--config.data.share=0.2"], "data.share is 0.2, which data.split='last_out' does not read"),
        (["--config.data.seed=1"], "data.seed is 1, which data.split='last_out' does not read"),
        (["--config.data.name=lightgcn", "--config.data.world.queries=9"], "data.world.queries is 9, which data.name="),
        (["--config.data.parts=a"], "data.parts is ('a',), which data.name='languages' does not read"),
        (["--config.seed=99999999999999999999"], "wanted a value below 4294967296"),
        (["--config.optimizer.name=lbfgs"], "unknown optimizer 'lbfgs'"),
        (["--config.sampler.name=none"], "type --config.objective.loss=squared or --config.sampler.name=uniform"),
        (
            ["--config.data.world.queries=1", "--config.data.world.groups=1"],
            "1 queries and 2000 items; wanted at",
        ),
        (["stray"], "unknown flag 'stray'"),
    ],
)
def test_bad_input_ends_in_one_message_status_2_and_no_folder(arguments, message, run, tmp_path, capsys):
    assert run(*arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("error: ")
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_ones_own_that_does_not_fit_fails_before_there_is_a_folder(run, tmp_path, monkeypatch):
    (tmp_path / "short.py").write_text("def loss(positive, negative):\n    return positive[:, 0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match="target"):
        run("--workdir=here", *SMALL, "--config.objective.loss=short:loss")
    assert not (tmp_path / "here").exists()


def test_a_foreign_workdir_is_refused_and_left_alone(run, tmp_path, capsys):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").write_text("mine")
    assert run("--workdir=here", *SMALL) == 2
    assert "--workdir=here exists and has no config.json; wanted the folder of a run" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["thesis.tex"]


def test_a_signal_ends_the_run_with_a_status_of_its_own(run, tmp_path, monkeypatch, capsys):
    from recjax import fit

    def stopped(config, *arguments, stop, **named):
        signal.raise_signal(signal.SIGUSR1)
        assert stop()
        raise Interrupted

    monkeypatch.setattr(fit, "fit", stopped)
    monkeypatch.setattr(launch.interruption, "requeue", lambda: "scontrol requeue 42: done")
    small = [one for one in SMALL if "hidden" not in one]
    assert run("--workdir=here", *small, config="mf") == 75
    assert capsys.readouterr().err == "interrupted by SIGUSR1; scontrol requeue 42: done\n"
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["config.json"]


def test_a_dry_run_writes_nothing(run, tmp_path, monkeypatch):
    from recjax import cost

    asked = []
    monkeypatch.setattr(cost, "report", asked.append)
    assert run("--dry_run", "--config.seed=7") == 0
    assert [config.seed for config in asked] == [7]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["dry_run", "profile"])
def test_a_study_has_no_costs_and_no_trace(flag, run, tmp_path, capsys):
    assert run(f"--{flag}", config="folding") == 2
    assert f"--{flag} is for one run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_has_seeds_of_its_own(run, tmp_path, capsys):
    assert run("--config.seed=3", config="folding") == 2
    assert "--config.seed=3: a study runs seeds of its own" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_config_file_that_gives_no_config(run, tmp_path, capsys):
    (tmp_path / "odd.py").write_text("def get_config():\n    return {}\n")
    assert run("--config=odd.py") == 2
    assert "the config is {}; wanted a recjax.configs.Config" in capsys.readouterr().err


def test_a_config_file_that_is_not_there_or_defines_nothing(run, tmp_path, capsys):
    assert run(config="sofmax") == 2
    assert "unknown experiment file in --config" in capsys.readouterr().err
    (tmp_path / "empty.py").write_text("x = 1\n")
    assert run("--config=empty.py") == 2
    assert (
        "empty.py defines none of get_config(), get_sweep(), get_study() and get_measurement()"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "term", "step"),
    [
        (["--config.optimizer.name=sgd", "--config.optimizer.learning_rate=1e30"], "loss", 2),
        (["--config.model.scale=1e30", "--config.penalties.gravity=1"], "gravity", 1),
    ],
)
def test_a_number_that_is_not_finite_ends_the_run_at_its_step(arguments, term, step, run, tmp_path, capsys):
    assert run("--workdir=here", *SMALL, *arguments) == 3
    assert f"{term} is not finite at step {step};" in capsys.readouterr().err
    result = read(tmp_path / "here" / "result.json")
    assert (result["status"], result["term"], result["step"]) == ("failed", term, step)
    assert lines(tmp_path / "here" / "metrics.jsonl")
    assert not (tmp_path / "here" / "parameters.npz").exists()


def test_a_crash_leaves_a_result_that_says_so(run, tmp_path, monkeypatch):
    from recjax import plots

    def broken(*arguments):
        raise RuntimeError("no ink")

    monkeypatch.setattr(plots, "scores", broken)
    with pytest.raises(RuntimeError, match="no ink"):
        run("--workdir=here", *SMALL)
    result = read(tmp_path / "here" / "result.json")
    assert (result["status"], result["error"]) == ("failed", "RuntimeError('no ink')")


MINE = """
import jax.numpy as jnp
from recjax.types import Candidates, Sampler

def margin(positive, negative, *, target, where, log_weight):
    cost = jnp.exp(log_weight) * jnp.maximum(0.0, 1.0 + negative - positive[:, :1])
    return jnp.sum(jnp.where(where, cost, 0.0), axis=-1)

def first(settings):
    def sample(key, state, batch):
        ids = jnp.arange(settings.negatives)
        return Candidates(ids, jnp.zeros(()), ids[None] != batch.positive, jnp.zeros(batch.positive.shape)), state
    return Sampler(lambda data, params: (), sample)
"""


def test_a_loss_and_a_sampler_of_ones_own_file_are_named_in_the_config(run, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    named = ["--config.objective.loss=mine:margin", "--config.sampler.name=mine:first", "--config.sampler.negatives=40"]
    assert run("--workdir=here", *SMALL, *named) == 0
    assert read(tmp_path / "here" / "result.json")["config"]["objective"]["loss"] == "mine:margin"


STUDY = """
from recjax import configs, plots
from recjax.study import Study

def get_study():
    arms = {name: configs.Config(model=configs.Model(name=name)) for name in ("two_tower", "softmax_dnn")}
    return Study(arms, (0, 1), ("ndcg@10",), lambda path, found: plots.bars(path, found["rows"], ("ndcg@10",)))
"""


def test_a_study_gives_means_over_seeds(run, tmp_path, capsys):
    (tmp_path / "two.py").write_text(STUDY)
    assert run("--config=two.py", "--workdir=here", "--save=there/two", *SMALL) == 0
    found = read(tmp_path / "there" / "two.json")
    assert found == read(tmp_path / "here" / "study.json")
    assert (tmp_path / "there" / "two.png").stat().st_size > 1000
    assert "softmax_dnn" in (tmp_path / "here" / "report.html").read_text()
    assert list(found["rows"]) == ["two_tower", "softmax_dnn", "popularity", "random"]
    for arm in ("two_tower", "softmax_dnn"):
        values = [read(tmp_path / "here" / f"{arm}-{seed}" / "result.json")["metrics"]["ndcg@10"] for seed in (0, 1)]
        row = found["rows"][arm]["ndcg@10"]
        assert row["values"] == values
        np.testing.assert_allclose((row["mean"], row["sd"]), (sum(values) / 2, abs(values[0] - values[1]) / 2**0.5))
    point = next(iter(found["curves"]["two_tower"].values()))
    assert len(point["ndcg@10"]["values"]) == len(point["seconds"]["values"]) == 2
    assert "--save=there/two" in found["command"]
    assert "±" in capsys.readouterr().out


def test_a_study_goes_on_where_it_was_stopped(run, tmp_path, capsys, monkeypatch):
    """The second of two runs is stopped by a signal, twice: the same numbers as of a study that was not stopped."""
    (tmp_path / "two.py").write_text(STUDY.replace('("two_tower", "softmax_dnn")', '("softmax_dnn",)'))
    assert run("--config=two.py", "--workdir=whole", *SMALL) == 0
    begun, launched_by = [], fit.fit

    def stopping(config, *others, **named):
        begun.append((config.model.name, config.seed))
        if len(begun) in (2, 3):
            signal.raise_signal(signal.SIGTERM)
        return launched_by(config, *others, **named)

    monkeypatch.setattr(fit, "fit", stopping)
    again = ("--config=two.py", "--workdir=here", *SMALL)
    assert [run(*again) for _ in range(3)] == [75, 75, 0]
    assert "interrupted by SIGTERM; to go on, type the same command" in capsys.readouterr().err
    assert begun == [("softmax_dnn", seed) for seed in (0, 1, 1, 1)]
    found, whole = read(tmp_path / "here" / "study.json"), read(tmp_path / "whole" / "study.json")
    assert found["rows"] == whole["rows"]
    assert run(*again) == 0  # nothing is left to do
    assert read(tmp_path / "here" / "study.json") == found
    assert len(begun) == 4
    assert run(*again, "--config.optimizer.learning_rate=0.5") == 2
    assert "optimizer.learning_rate is" in capsys.readouterr().err


def test_one_arm_of_a_study_is_run_again_and_the_others_are_kept(run, tmp_path, capsys):
    """The saved file is then that of the whole study with the change, but for seconds."""
    one_seed = STUDY.replace("(0, 1)", "(0,)")
    (tmp_path / "two.py").write_text(one_seed)
    start = ("--config=two.py", "--save=two", *SMALL)
    assert run(*start, "--workdir=first") == 0
    before = read(tmp_path / "two.json")
    faster = 'arms["softmax_dnn"] = configs.Config(optimizer=configs.Optimizer(learning_rate=0.01))'
    (tmp_path / "two.py").write_text(one_seed.replace("return Study", f"{faster}\n    return Study"))
    assert run(*start, "--workdir=second", "--arm=softmax_dnn") == 0
    found = read(tmp_path / "two.json")
    assert "two_tower" in capsys.readouterr().out
    # Its folder is of what was run, and has a report.
    assert list(read(tmp_path / "second" / "study.json")["configs"]) == ["softmax_dnn"]
    assert (tmp_path / "second" / "report.html").stat().st_size > 1000
    assert run("--config=two.py", "--save=all", *SMALL, "--workdir=second") == 0
    whole = read(tmp_path / "all.json")
    assert list(found["rows"]) == list(whole["rows"])
    for part in ("rows", "configs", "best_steps", "steps", "seeds", "data", "environment", "columns"):
        assert found[part] == whole[part], part
    for part in ("rows", "timing", "curves", "configs"):
        assert found[part]["two_tower"] == before[part]["two_tower"], part
    assert found["rows"]["softmax_dnn"] != before["rows"]["softmax_dnn"]
    assert (found["kept"], found["command"]) == (["two_tower"], before["command"])


@pytest.mark.parametrize(
    ("arms", "save", "told"),
    [
        (("a b", "a-b"), None, "the name of arm 'a-b' makes the same folders as that of arm 'a b'"),
        (("with / without",), None, "the name of arm 'with / without' has a /"),
        (("popularity",), None, "the name of arm 'popularity' is that of a baseline"),
        (("one",), ".", "--save=. names no file"),
    ],
)
def test_a_study_that_would_fail_later_is_refused(arms, save, told, tmp_path):
    plan = study.Study(dict.fromkeys(arms, configs.Config()), (0,), (), lambda path, found: None)
    with pytest.raises(InputError, match=re.escape(told)):
        study.run(plan, "mine", "", str(tmp_path / "here"), save)
    assert not list(tmp_path.iterdir())


def test_a_study_takes_no_folder_of_something_else(run, tmp_path, capsys):
    (tmp_path / "two.py").write_text(STUDY)
    (tmp_path / "here" / "two_tower-0").mkdir(parents=True)
    (tmp_path / "here" / "notes.txt").write_text("mine")
    assert run("--config=two.py", "--workdir=here", *SMALL) == 2
    assert "holds notes.txt, which is none of this study's; wanted the folder of the same" in capsys.readouterr().err


def test_the_exit_status_reaches_the_shell():
    done = subprocess.run(
        [sys.executable, ROOT / "launch.py", "--config.seed=x"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "error: --config.seed=x: wanted a whole number; type for example --config.seed=10\n"


MEASUREMENT = """
from recjax import configs, plots
from recjax.study import Measurement

def get_measurement():
    def measure(config):
        return {"one": {"x": 2.0 * config.seed}, "two": {"x": float(config.data.world.queries)}}
    draw = lambda path, found: plots.bars(path, found["rows"], ("x",))
    return Measurement(measure, configs.Config(), (1, 2), ("x",), draw)
"""


def test_a_measurement_gives_means_over_seeds(run, tmp_path, capsys):
    (tmp_path / "own.py").write_text(MEASUREMENT)
    assert run("--config=own.py", "--workdir=here", "--save=there/own", "--config.data.world.queries=9") == 0
    found = read(tmp_path / "there" / "own.json")
    assert found == read(tmp_path / "here" / "study.json")
    assert (tmp_path / "there" / "own.png").stat().st_size > 1000
    assert "3.000" in (tmp_path / "here" / "report.html").read_text()
    assert found["rows"]["one"]["x"] == {"mean": 3.0, "sd": 2**0.5, "values": [2.0, 4.0]}
    assert found["rows"]["two"]["x"] == {"mean": 9.0, "sd": 0.0, "values": [9.0, 9.0]}
    assert "| one | 3.000 ± 1.414 |" in capsys.readouterr().out
    assert run("--config=own.py", "--config.seed=3") == 2
    assert "a measurement has seeds of its own" in capsys.readouterr().err


def test_what_runs_left_is_read_without_training(run, tmp_path, capsys):
    """Words in place of --config; what is wrong with them ends as with any bad input."""
    for word, message in (
        ("compare", "compare got no folder; type: python launch.py compare RUN RUN [RUN …]"),
        ("table", "table got no folder"),
        ("report", "report got no folder"),
    ):
        assert run(word, config=None) == 2
        assert message in capsys.readouterr().err
    assert run("--workdir=a", "--tensorboard", *SMALL) == 0
    assert (tmp_path / "a" / "tensorboard").is_dir()
    capsys.readouterr()
    assert run("compare", "a", "a", config=None) == 0
    assert "recall@10: a - a is +.0000" in capsys.readouterr().out
    assert run("table", "a", "--format=latex", "--columns=mrr@10", config=None) == 0
    assert r"\toprule" in capsys.readouterr().out
    (tmp_path / "a" / "report.html").unlink()
    assert run("report", "a", config=None) == 0
    assert read(tmp_path / "a" / "result.json")["command"] in html.unescape(
        (tmp_path / "a" / "report.html").read_text()
    )
    assert run("table", "a") == 2
    assert "is for a run, and table reads folders" in capsys.readouterr().err


@pytest.mark.parametrize("sweep", [(), ("--sweep=seed=0:2",)], ids=["run", "sweep"])
def test_a_folder_has_one_process(sweep, run, tmp_path, capsys):
    """The second one of the same command is told, and the first one's files stay."""
    command = [*SMALL, *sweep, "--config.train.epochs=0.1", "--workdir=here"]
    assert run(*command) == 0
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "here").rglob("*"))
    with resume.alone(tmp_path / "here"):
        assert run(*command) == 2
    assert "another process is running in it; wait for it, or name another" in capsys.readouterr().err
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "here").rglob("*")) == before
    assert run(*command) == 0  # it is free again, and nothing is left to do
