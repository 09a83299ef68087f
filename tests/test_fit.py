"""When blocks end, and when they are followed by an evaluation."""

import re

import numpy as np
import pytest

from recjax import configs, display, fit
from recjax.clock import Clock
from recjax.errors import DivergedError


@pytest.mark.parametrize(
    ("settings", "interactions", "schedule"),
    [
        (configs.Train(epochs=1.0, batch=10, block=4, evaluate=1.0), 100, [(0, 4, 0), (4, 8, 1), (8, 10, 1)]),
        (configs.Train(epochs=1.0, batch=10, block=5, evaluate=0.5), 100, [(0, 5, 1), (5, 10, 1)]),
        (
            configs.Train(epochs=1.0, batch=10, block=900, evaluate=0.3),
            100,
            [(0, 3, 1), (3, 6, 1), (6, 9, 1), (9, 10, 1)],
        ),
        (configs.Train(epochs=0.01, batch=10, block=4, evaluate=1.0), 100, [(0, 1, 1)]),
    ],
)
def test_every_step_is_in_one_block_and_the_last_is_judged(settings, interactions, schedule):
    found = fit.plan(settings, interactions / settings.batch)
    assert found == [(first, last, bool(judged)) for first, last, judged in schedule]


@pytest.mark.parametrize(
    ("terms", "step", "term"),
    [
        ({"loss": [1.0, 2.0, float("nan")], "gradient_norm": [1.0, 1.0, 1.0]}, 13, "loss"),
        ({"loss": [1.0, float("inf"), 1.0], "gradient_norm": [1.0, float("nan"), 1.0]}, 12, "loss"),
        ({"loss": [1.0, 1.0, float("nan")], "gradient_norm": [1.0, float("nan"), 1.0]}, 12, "gradient_norm"),
        ({"loss": [1.0, 1.0, 1.0], "l2": [float("inf"), 1.0, 1.0], "gradient_norm": [float("nan")] * 3}, 11, "l2"),
    ],
)
def test_the_first_step_and_term_that_are_not_finite_are_named(terms, step, term):
    with pytest.raises(DivergedError) as caught:
        fit._require_finite(10, {name: np.array(values) for name, values in terms.items()})
    assert (caught.value.step, caught.value.term) == (step, term)


@pytest.mark.parametrize(
    ("silence", "quiet", "told"), [(-1.0, False, True), (-1.0, True, False), (600.0, False, False)]
)
def test_a_run_without_validation_tells_a_log_file_how_far_it_is(silence, quiet, told, config, split, monkeypatch):
    monkeypatch.setattr(display, "SILENCE", silence)
    start, lines = fit.start(config, split.train), []
    fit.fit(config, start, None, Clock(), log=lambda line: None, echo=lines.append, quiet=quiet)
    ends = [last for _, last, _ in fit.plan(config.train, start.epoch)]
    assert len(lines) == told * len(ends)
    for line, end in zip(lines, ends, strict=False):
        assert re.fullmatch(rf"step {end} of {ends[-1]}: loss [\d.]+, \d\d:\d\d left", line)
