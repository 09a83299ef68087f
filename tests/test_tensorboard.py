"""What TensorBoard would read is what metrics.jsonl holds, each step once."""

import struct
import time

import pytest

from recjax import tensorboard
from recjax.errors import InputError

LINES = [
    {"step": 10, "loss": 5.5, "seconds": 0.25},
    {"step": 10, "split": "validation", "ndcg@10": 0.125, "standard_error": {"cross_group_auc": 0.5}},
    {"step": 20, "loss": 5.0, "seconds": 0.5},
]


def events(folder):
    """[(tag, step, value)] of every event file. A record is its length, a checksum, the event, a checksum."""
    from tensorboardX.proto import event_pb2

    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        rest = path.read_bytes()
        while rest:
            (size,) = struct.unpack("<Q", rest[:8])
            event = event_pb2.Event.FromString(rest[12 : 12 + size])
            found += [(one.tag, event.step, one.simple_value) for one in event.summary.value]
            rest = rest[16 + size :]
    return found


def test_the_scalars_are_those_of_the_lines(tmp_path):
    logged = []
    with tensorboard.beside(logged.append, tmp_path) as log:
        for line in LINES:
            log(line)
    assert logged == LINES
    expected = [(name, line["step"], value) for line in LINES for name, value in tensorboard.scalars(line).items()]
    assert events(tmp_path) == expected
    assert ("validation/ndcg_10", 10, 0.125) in expected


def test_they_can_be_seen_while_the_run_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "SECONDS", 0)
    with tensorboard.beside(lambda line: None, tmp_path) as log:
        log(LINES[0])
        log(LINES[1])
        deadline = time.monotonic() + 10
        while len(events(tmp_path)) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(events(tmp_path)) == 4


def test_a_run_that_goes_on_has_each_step_once(tmp_path):
    for before in ([], LINES[:1]):
        with tensorboard.beside(lambda line: None, tmp_path, before) as log:
            for line in LINES[len(before) :]:
                log(line)
    assert events(tmp_path) == [
        (name, line["step"], value) for line in LINES for name, value in tensorboard.scalars(line).items()
    ]


def test_without_the_package_nothing_starts(monkeypatch):
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--tensorboard needs the package tensorboardX; type: pip install 'recjax\["):
        tensorboard.require()
