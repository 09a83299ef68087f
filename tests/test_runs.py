"""The run folder: never somebody else's, and no file in it half-written."""

import json
import pathlib

import numpy as np
import pytest

from recjax import runs
from recjax.errors import InputError

WRITERS = {"json": runs.write_json, "arrays": runs.write_arrays}


def strict(text):
    """Reads JSON as the standard has it: without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_runs_are_numbered():
    found = [runs.create(None, "mf") for _ in range(3)]
    assert found == [pathlib.Path("runs") / f"mf-{number}" for number in (1, 2, 3)]
    assert all(path.is_dir() for path in found)


def test_every_name_has_its_own_numbers():
    assert [str(runs.create(None, name)) for name in ("mf", "softmax", "mf")] == [
        str(pathlib.Path("runs", name)) for name in ("mf-1", "softmax-1", "mf-2")
    ]


def test_a_file_of_the_same_name_is_left_alone():
    pathlib.Path("runs").mkdir()
    pathlib.Path("runs/mf-1").write_text("mine")
    assert runs.create(None, "mf") == pathlib.Path("runs/mf-2")
    assert pathlib.Path("runs/mf-1").read_text() == "mine"


def test_a_named_folder_is_made_with_its_parents():
    assert runs.create("a/b/c", "mf") == pathlib.Path("a/b/c")
    assert pathlib.Path("a/b/c").is_dir()
    assert not pathlib.Path("runs").exists()


@pytest.mark.parametrize("make", [pathlib.Path.mkdir, pathlib.Path.touch])
def test_an_existing_workdir_is_refused(make):
    make(pathlib.Path("mine"))
    with pytest.raises(InputError) as caught:
        runs.create("mine", "mf")
    assert str(caught.value) == ("--workdir=mine exists; wanted a folder that does not: name another, or remove it")
    assert list(pathlib.Path.cwd().rglob("*")) == [pathlib.Path.cwd() / "mine"]


def test_json_comes_back():
    value = {"status": "completed", "metrics": {"ndcg@10": 0.25}, "k": [5, 10], "none": None}
    runs.write_json(pathlib.Path("result.json"), value)
    assert strict(pathlib.Path("result.json").read_text()) == value


def test_arrays_come_back():
    runs.write_arrays(pathlib.Path("parameters.npz"), {"tables/item": np.arange(6.0).reshape(2, 3)})
    with np.load("parameters.npz") as found:
        assert found.files == ["tables/item"]
        np.testing.assert_array_equal(found["tables/item"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_replaced_and_nothing_stays_beside_it(name):
    path = pathlib.Path("file")
    path.write_text("old")
    WRITERS[name](path, {"a": 1})
    assert path.read_bytes() != b"old"
    assert list(pathlib.Path.cwd().iterdir()) == [pathlib.Path.cwd() / "file"]


class Unwritable:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("no array")


@pytest.mark.parametrize("old", [b"old", None])
@pytest.mark.parametrize("name", WRITERS)
def test_a_value_that_cannot_be_written_leaves_what_was_there(name, old):
    path = pathlib.Path("file")
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(TypeError):
        WRITERS[name](path, {"first": 1, "second": Unwritable()})
    assert (path.read_bytes() if path.exists() else None) == old


@pytest.mark.parametrize("old", [b"old", None])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there(name, old, monkeypatch):
    path = pathlib.Path("file")
    if old is not None:
        path.write_bytes(old)

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(runs.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        WRITERS[name](path, {"a": 1})
    assert (path.read_bytes() if path.exists() else None) == old


def test_who_looks_while_it_is_written_sees_the_old_file():
    path, seen = pathlib.Path("file"), []
    path.write_bytes(b"old")

    class Watching:
        def __array__(self, dtype=None, copy=None):
            seen.append(path.read_bytes())
            return np.ones(2)

    runs.write_arrays(path, {"first": np.zeros(9), "second": Watching()})
    assert set(seen) == {b"old"}
    with np.load(path) as found:
        assert found["second"].tolist() == [1.0, 1.0]


def test_a_line_is_added_at_the_end():
    path = pathlib.Path("metrics.jsonl")
    lines = [{"step": 1, "loss": 0.5}, {"step": 2, "split": "validation"}]
    for line in lines:
        runs.append_line(path, line)
    assert [strict(line) for line in path.read_text().splitlines()] == lines
    assert path.read_text().endswith("\n")


NOT_FINITE = [np.nan, np.inf, -np.inf, np.float64("nan")]


@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_number_that_is_not_finite_is_null_in_a_line(bad):
    runs.append_line(pathlib.Path("metrics.jsonl"), {"step": 1, "loss": bad, "norm": 0.5, "text": "nan"})
    wanted = {"step": 1, "loss": None, "norm": 0.5, "text": "nan"}
    assert strict(pathlib.Path("metrics.jsonl").read_text()) == wanted


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize("nest", [lambda one: [1.0, one], lambda one: {"inner": one}], ids=["list", "mapping"])
def test_a_nested_number_that_is_not_finite_is_null_in_a_line(bad, nest):
    runs.append_line(pathlib.Path("metrics.jsonl"), {"value": nest(bad)})
    assert strict(pathlib.Path("metrics.jsonl").read_text()) == {"value": nest(None)}


@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_number_that_is_not_finite_is_null_in_a_file(bad):
    runs.write_json(pathlib.Path("result.json"), {"metrics": {"ndcg@10": bad, "recall@10": 0.5}})
    assert strict(pathlib.Path("result.json").read_text()) == {"metrics": {"ndcg@10": None, "recall@10": 0.5}}


def test_rows_become_csv_with_their_header(tmp_path):
    runs.write_csv(tmp_path / "a.csv", ["x", "why"], [{"x": 1.5, "why": 'a, "b"'}])
    assert (tmp_path / "a.csv").read_text() == 'x,why\n1.5,"a, ""b"""\n'
    runs.write_csv(tmp_path / "a.csv", ["x", "why"], [])
    assert (tmp_path / "a.csv").read_text() == "x,why\n"
