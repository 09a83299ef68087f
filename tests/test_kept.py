"""Rows of a study that are kept: which files are refused, and what is put together."""

import dataclasses
import json
import re

import pytest

from recjax import configs, kept
from recjax.errors import InputError

ARMS = {"one": configs.Config(), "two, too": configs.Config(model=configs.Model(name="mf"))}
SAME = {"seeds": (0, 1), "data": "print", "environment": {"jax": "0.10.2"}}


def study(rows, arms=ARMS):
    """What a study with these rows would have written, as it comes back from JSON."""
    by_arm = {part: {arm: f"{part} of {arm}" for arm in arms} for part in kept.PARTS}
    made = {
        "command": "python launch.py",
        "seeds": SAME["seeds"],
        "data": {"fingerprint": SAME["data"]},
        "environment": SAME["environment"],
        **by_arm,
        "rows": rows,
        "configs": {arm: dataclasses.asdict(config) for arm, config in arms.items()},
    }
    return json.loads(json.dumps(made))


EARLIER = study({"one": 1, "two, too": 2, "popularity": 0})


def write(folder, value):
    (folder / "mine.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return str(folder / "mine")


def changed(*path, to):
    """EARLIER with one number more or other."""
    found = json.loads(json.dumps(EARLIER))
    inner = found
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return found


@pytest.mark.parametrize(
    "earlier",
    [
        EARLIER,
        # What came or went since and is off counts for nothing; nor does the arm that is run again.
        changed("configs", "one", "penalties", "gone", to=0.0),
        changed("configs", "two, too", "seed", to=9),
    ],
)
def test_the_same_study_is_read(earlier, tmp_path):
    assert kept.read(write(tmp_path, earlier), ["two, too"], ARMS, **SAME) == earlier


@pytest.mark.parametrize(
    ("earlier", "told"),
    [
        ("[]", "mine.json cannot be read (TypeError"),
        ("{", "mine.json cannot be read (JSONDecodeError"),
        ({name: value for name, value in EARLIER.items() if name != "curves"}, "cannot be read (KeyError: 'curves')"),
        (changed("seeds", to=[0]), "seeds is (0,) there and (0, 1) here"),
        (changed("data", "fingerprint", to="x"), "data is 'x' there and 'print' here"),
        (changed("environment", "jax", to="0.9"), "environment.jax is '0.9' there and '0.10.2' here"),
        (changed("configs", "one", "seed", to=9), "arm.one.seed is 9 there and 0 here; wanted the same but for --arm"),
        (changed("configs", "one", "penalties", "gone", to=0.5), "arm.one.penalties.gone is 0.5 there and 'missing'"),
        (changed("configs", to={}), "arm.one.data.name is 'missing' there and 'languages' here"),
    ],
)
def test_another_study_is_refused(earlier, told, tmp_path):
    with pytest.raises(InputError, match=re.escape(told)):
        kept.read(write(tmp_path, earlier), ["two, too"], ARMS, **SAME)


def test_an_arm_and_a_file_are_wanted(tmp_path):
    with pytest.raises(InputError, match="unknown arm in --arm 'two'; did you mean 'two, too'"):
        kept.read(write(tmp_path, EARLIER), ["two"], ARMS, **SAME)
    with pytest.raises(InputError, match="there is no --save"):
        kept.read(None, ["one"], ARMS, **SAME)
    with pytest.raises(InputError, match=r"none\.json cannot be read \(FileNotFoundError"):
        kept.read(str(tmp_path / "none"), ["one"], ARMS, **SAME)


@pytest.mark.parametrize(("ran", "baseline"), [("one", 7), ("two, too", 0)])
def test_what_was_not_run_is_as_it_was_and_in_its_place(ran, baseline):
    """The baselines are those beside the first arm; an arm that the study no longer has is gone."""
    before = study({"old": 3, "one": 1, "two, too": 2, "popularity": 0}, {**ARMS, "old": configs.Config()})
    now = study({ran: 5, "popularity": 7}, {ran: ARMS[ran]}) | {"command": "python launch.py --arm"}
    found = kept.together(before, now, tuple(ARMS))
    rows = {"one": 1, "two, too": 2, "popularity": baseline} | {ran: 5}
    assert list(found["rows"].items()) == list(rows.items())
    assert all(list(found[part]) == list(ARMS) for part in kept.PARTS if part != "rows")
    assert (found["kept"], found["command"]) == ([arm for arm in ARMS if arm != ran], "python launch.py")
