"""A run that is stopped and started again is the run that never stopped."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from recjax import checkpoints, configs, fields, fit, interruption, resume, runs
from recjax.clock import Clock
from recjax.errors import DivergedError, InputError, Interrupted

MF = {"model.name": "mf", "model.hidden": "256", "model.history": "50"}
RUNS = {
    "adaptive, sogram, by rows": MF
    | {"sampler.name": "adaptive", "optimizer.name": "adagrad", "model.update": "rows"}
    | {"penalties.gravity": "1", "gravity.pairs": "examples", "gravity.estimate": "sogram"},
    "streamed memory, sagram": MF
    | {"sampler.name": "memory", "sampler.hashes": "2", "penalties.gravity": "1", "gravity.estimate": "sagram"},
    "wals": MF | {"train.method": "wals", "train.batch": "512", "sampler.negatives": "1024", "train.epochs": "8"},
}
ENVIRONMENT = {"jax": "1", "device": "cpu"}


class Stop(interruption.Listener):
    """Asks to stop before the n-th block, and then before every one."""

    def __init__(self, blocks):
        super().__init__()
        self.left = blocks

    def __call__(self):
        self.left -= 1
        return self.left < 0


def train(config, split, folder, stop=lambda: False):
    """Goes on in the folder until the end, or until it is stopped."""
    start, lines = fit.start(config, split.train), []
    earlier = checkpoints.find(folder, start.state)
    saver = checkpoints.Saver(folder, config.checkpoint, {})
    clock = Clock()
    held = split.validation if config.train.method == "wals" else None  # whose programs are small
    try:
        found = fit.fit(
            config, start, held, clock,
            log=lines.append, echo=lambda text: None, earlier=earlier, saver=saver, stop=stop,
        )  # fmt: skip
    finally:
        saver.close()
    parts = found.progress.saved()
    parts["lines"] = [{name: one for name, one in line.items() if name != "seconds"} for line in parts["lines"]]
    arrays = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((found.params, found.sampler))]
    return arrays, parts, clock, lines


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_was_stopped_is_the_run_that_was_not(name, config, split, tmp_path):
    shape = configs.Train(epochs=2.0, batch=len(split.train.interactions.query) // 8, block=2, evaluate=0.5)
    config = dataclasses.replace(config, train=shape, checkpoint=configs.Checkpoint(keep=1))
    config = fields.override(config, RUNS[name])
    arrays, progress, _, lines = train(config, split, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(config, split, tmp_path / "stopped", Stop(3))
    again, same, clock, rest = train(config, split, tmp_path / "stopped")
    assert (arrays, progress) == (again, same)
    assert 0 < len(rest) < len(lines)
    assert clock["train_s"] == pytest.approx(sum(one["seconds"] for one in lines_of(tmp_path / "stopped")), abs=1e-3)


def lines_of(folder):
    """The blocks' lines in the newest checkpoint."""
    path = max((folder / checkpoints.FOLDER).iterdir(), key=lambda path: int(path.name.split("-")[1]))
    with np.load(path) as file:
        return [one for one in json.loads(file["about"].tobytes())["progress"]["lines"] if "seconds" in one]


def test_a_run_that_had_ended_trains_no_further(config, split, tmp_path):
    """Its patience was over when it was killed, while it was judged."""
    shape = configs.Train(epochs=9.0, batch=512, block=2, evaluate=1.0, patience=1)
    wals = fields.override(dataclasses.replace(config, train=shape), RUNS["wals"] | {"train.epochs": "50"})
    _, progress, *_ = train(wals, split, tmp_path)
    again, same, _, lines = train(wals, split, tmp_path)
    assert progress == same
    assert progress["stale"] == 1
    assert lines == []
    assert again


def identity(**changes):
    config = fields.override(configs.Config(), {name.replace("__", "."): one for name, one in changes.items()})
    return {"experiment": "test", "config": dataclasses.asdict(config), "data": "0123"}


def folder_of(path, result=None):
    """A run folder in which training had begun."""
    one = identity()
    path.mkdir(exist_ok=True)
    runs.write_json(path / "config.json", {"experiment": "test", **one["config"]})
    if result:
        runs.write_json(path / "result.json", {"data": {"fingerprint": one["data"]}, **result})
    return path


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train__epochs": "3", "model__hidden": "9,8"},
         "model.hidden is (256,) there and (9, 8) here; train.epochs is 12.0 there and 3.0 here"),
        ({"data__path": "here"}, "data.path is '' there and 'here' here"),
    ],
)  # fmt: skip
def test_another_config_is_refused_with_every_difference(changes, told, tmp_path):
    with pytest.raises(InputError) as caught:
        resume.completed(folder_of(tmp_path), identity(**changes))
    assert told in str(caught.value)


def test_how_often_checkpoints_are_written_is_no_difference(tmp_path):
    assert resume.completed(folder_of(tmp_path), identity(checkpoint__keep="5")) is None


def test_another_experiment_is_refused(tmp_path):
    with pytest.raises(InputError, match="experiment is 'test' there and 'other' here"):
        resume.completed(folder_of(tmp_path), identity() | {"experiment": "other"})


def test_what_had_ended_is_known(tmp_path):
    assert resume.completed(folder_of(tmp_path), identity()) is None
    assert resume.completed(folder_of(tmp_path, {"status": "failed", "error": "no ink"}), identity()) is None
    completed = folder_of(tmp_path, {"status": "completed"})
    assert resume.completed(completed, identity())["status"] == "completed"
    with pytest.raises(InputError, match="data is '0123' there and '4567' here"):
        resume.completed(completed, identity() | {"data": "4567"})
    with pytest.raises(DivergedError, match="loss is not finite at step 7"):
        resume.completed(folder_of(tmp_path, {"status": "failed", "term": "loss", "step": 7}), identity())


@pytest.fixture
def begun(tmp_path, build, config, split):
    """(the folder of a run that was killed after step 1, its state)"""
    _, _, state, _ = build(config, split)
    folder_of(tmp_path, {"status": "failed", "error": "no ink"})
    saver = checkpoints.Saver(tmp_path, configs.Checkpoint(), identity() | {"environment": ENVIRONMENT})
    saver.save(state._replace(step=state.step + 1), 0, {"progress": {"lines": [{"step": 1, "loss": float("nan")}]}})
    saver.wait()
    for step in (1, 2):
        runs.append_line(tmp_path / "metrics.jsonl", {"step": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"ste')
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "curves.png.partial").write_bytes(b"\x89")
    return tmp_path, state


def test_what_came_after_the_checkpoint_is_taken_back(begun):
    folder, state = begun
    told = []
    found = resume.begin(folder, identity(), ENVIRONMENT | {"jax": "2"}, state, told.append)
    assert (found.step, int(found.state.step)) == (1, 1)
    assert (folder / "metrics.jsonl").read_text() == '{"step": 1, "loss": null}\n'
    assert not list(folder.rglob("*.partial"))
    assert not (folder / "result.json").exists()
    assert told == ["jax was 1 and is 2: the last digits of numbers may differ", "goes on after step 1"]


def test_a_checkpoint_of_another_run_is_refused(begun):
    folder, state = begun
    ours = identity(train__batch="7") | {"data": "4567"}
    with pytest.raises(InputError, match=r"train.batch is 512 there and 7 here; data is '0123' there and '4567' here"):
        resume.begin(folder, ours, ENVIRONMENT, state, print)
    assert (folder / "result.json").exists()


def test_without_a_checkpoint_it_begins_anew(begun):
    folder, state = begun
    next((folder / "checkpoints").iterdir()).unlink()
    told = []
    assert resume.begin(folder, identity(), ENVIRONMENT, state, told.append) is None
    assert told == ["has no checkpoint yet: begins anew"]
    assert not (folder / "metrics.jsonl").exists()


def test_the_folder_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resume.folder(None, "mf").as_posix() == "runs/mf-1"
    assert resume.folder("new", "mf").as_posix() == "new"
    (tmp_path / "new" / "config.json.partial").write_text("{")  # killed at once
    assert resume.folder("new", "mf").as_posix() == "new"
    assert resume.folder(folder_of(tmp_path / "old").as_posix(), "mf") == tmp_path / "old"
    (tmp_path / "new" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"--workdir=new exists and has no config\.json; wanted"):
        resume.folder("new", "mf")
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        (tmp_path / "old" / "config.json").write_text("{")
        resume.completed(tmp_path / "old", identity())


def test_two_processes_do_not_share_a_folder(tmp_path):
    with (
        resume.alone(tmp_path),
        pytest.raises(InputError, match="another process is running in it"),
        resume.alone(tmp_path),
    ):
        raise AssertionError
    with resume.alone(tmp_path):
        pass
