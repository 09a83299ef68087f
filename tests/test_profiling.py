"""Which blocks are traced."""

import pytest

from recjax import profiling


@pytest.mark.parametrize(
    ("blocks", "calls", "told"),
    [
        (1, [], "nothing was traced: no second block; lower --config.train.block"),
        (2, ["start 2", "stop"], "trace in here"),
        (5, ["start 2", "stop 5"], "trace in here"),
        (9, ["start 2", "stop 5"], "trace in here"),
    ],
)
def test_the_second_to_the_fourth_block_are_traced(blocks, calls, told, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found, said, now = [], [], [""]
    monkeypatch.setattr(profiling.jax.profiler, "start_trace", lambda folder: found.append(f"start{now[0]}"))
    monkeypatch.setattr(profiling.jax.profiler, "stop_trace", lambda: found.append(f"stop{now[0]}"))
    with profiling.traced(tmp_path.relative_to(tmp_path) / "here", said.append) as block:
        for number in range(1, blocks + 1):
            now[0] = f" {number}"
            block()
        now[0] = ""
    assert (found, said) == (calls, [told])


def test_without_a_folder_nothing_happens(monkeypatch):
    monkeypatch.setattr(profiling.jax.profiler, "start_trace", None)
    with profiling.traced(None, print) as block:
        for _ in range(9):
            block()
