"""What it costs to measure folding at every evaluation, beside the evaluation itself.

Source: ours. Timed are the ranking of the validation part, and folding's measures with their standard errors on its
        sampled pairs, as a run does them, taking turns; medians of nine. The model is the softmax DNN as it begins.
Claim:  folding at an evaluation on validation takes less than a tenth of a second.
Run:    python launch.py --config=experiments/folding_cost.py --config.data.path=data/ml-1m --save=results/folding_cost
Expect: two minutes on two cores. Relatedness is found once a held-out part; its time includes compiling (WALS).
"""

import dataclasses
import time

import jax
import numpy as np

from recjax import configs, evaluate, judging, methods, pairs, plots, relatedness
from recjax.clock import Clock
from recjax.preparation import prepare
from recjax.study import Measurement

RUNS = 9


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    """A row for the embedded world, and one for MovieLens 1M in the folder `data.path`."""
    worlds = {"embedded world": configs.Data(), "MovieLens 1M": configs.Data("movielens_1m", config.data.path)}
    return {name: _measure(dataclasses.replace(config, data=data)) for name, data in worlds.items()}


def _measure(config: configs.Config) -> dict[str, float]:
    prepared = prepare(config)
    start: methods.Start = prepared.start
    held = prepared.split.validation
    assert held is not None
    params = start.state.params, start.knobs, start.serving(held)
    found: dict[str, float] = {}
    for name in ("svd", "wals"):
        settings = dataclasses.replace(config.evaluate, related=name)
        begin = time.perf_counter()
        factors = relatedness.resolve(settings)(held.known, settings)
        found[f"{name}_s"] = time.perf_counter() - begin
    judgement, clock = evaluate.prepare(held), Clock()
    judge = judging.ranking(config, start.retriever, params, judgement, clock, start.shared)
    scores = jax.jit(pairs.scorer(start.retriever.score))
    drawn = {name: pairs.draw(held, factors, size) for name, size in (("folding_ms", 512), ("folding_1024_ms", 1024))}
    seconds: dict[str, list[float]] = {name: [] for name in ("evaluation_ms", *drawn)}
    for _ in range(RUNS + 1):
        begin = time.perf_counter()
        ranking = judge(params, 0)
        seconds["evaluation_ms"].append(time.perf_counter() - begin)
        for name, some in drawn.items():
            begin = time.perf_counter()
            pairs.measure(some, pairs.score(some, ranking, scores))
            seconds[name].append(time.perf_counter() - begin)
    found |= {name: 1000 * float(np.median(values[1:])) for name, values in seconds.items()}  # the first one compiles
    found["share"] = found["folding_ms"] / (found["folding_ms"] + found["evaluation_ms"])
    return found


def get_measurement() -> Measurement:
    return Measurement(
        measure,
        configs.Config(),
        seeds=(0, 1, 2),
        columns=("evaluation_ms", "folding_ms", "share", "folding_1024_ms", "svd_s", "wals_s"),
        draw=lambda path, found: plots.bars(path, found["rows"], ("evaluation_ms", "folding_ms", "folding_1024_ms")),
    )
