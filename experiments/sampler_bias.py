"""What sampling does to the softmax: the bias of its loss, partition and gradient, by sampler and correction.

Source: Bengio and Senécal 2003; Yi et al. 2019 (the correction of in-batch negatives); Khrylchenko et al. 2025 (the
        positive is not sampled, and needs no correction).
Claim:  with the negatives corrected, every proposal's partition estimate is unbiased, and the bias of the loss falls
        about as 1 / C: slopes between -.86 and -1.17. A proposal that follows the model has the least. Without
        correction, or with the positive corrected too, it is many times as large and falls more slowly.
Run:    python launch.py --config=experiments/sampler_bias.py --save=results/sampler_bias
Expect: eight minutes on two cores. A small world, matrix factorization after 1,500 steps of the full softmax.
"""

import pathlib
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np

from recjax import batches, bias, configs, losses, objectives, plots, preparation, samplers, scores, train
from recjax.study import Measurement

SIZES = (16, 64, 256)
ARMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "uniform": ("uniform", "negatives", {}),
    "uniform, no correction": ("uniform", "none", {}),
    "popularity": ("popularity", "negatives", {}),
    "popularity, all corrected": ("popularity", "all", {}),
    "popularity, no correction": ("popularity", "none", {}),
    "in-batch": ("in_batch", "negatives", {}),
    "in-batch, all corrected": ("in_batch", "all", {}),
    "in-batch, no correction": ("in_batch", "none", {}),
    "mixed": ("mixed", "negatives", {}),
    "adaptive": ("adaptive", "negatives", {}),
    "score-proportional": ("score_proportional", "negatives", {"resampled": 16}),
    "hardest quarter": ("hard", "negatives", {"hard_share": 0.25}),
}


def get_measurement() -> Measurement:
    config = configs.Config(
        data=configs.Data(world=configs.World(queries=600, items=600, groups=4)),
        model=configs.Model(name="mf", dimension=16),
        optimizer=configs.Optimizer(learning_rate=1e-2),
        train=configs.Train(batch=256),
        evaluate=configs.Evaluate(rank=16),
    )
    columns = [f"loss@{size}" for size in SIZES] + ["loss slope"]
    columns += [f"partition@{size}" for size in SIZES[:1]] + [f"gradient@{size}" for size in SIZES]
    return Measurement(measure, config, (0, 1, 2), tuple(columns), draw)


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    prepared = preparation.prepare(config)
    start, model = prepared.start, train.parts(config, prepared.split.train).model
    state, _ = jax.jit(train.block(start.advance, 1500))(start.knobs, start.key, start.state, start.data)
    params, data = state.params, start.data
    found: dict[str, dict[str, float]] = {}
    for arm, (name, correction, own) in ARMS.items():
        found[arm] = {}
        for size in SIZES:
            # Half of a mixed sample is from the batch; of an in-batch one all but the example itself.
            batch = {"in_batch": size + 1, "mixed": size // 2 + 1}.get(name, 8)
            negatives = size // 2 if name == "mixed" else size
            sampler = getattr(samplers, name)(configs.Sampler(name=name, negatives=negatives, **own))
            kept = sampler.init(data, params)
            if name == "adaptive":
                kept = _warmed(sampler, kept, model, params, data)
            one = bias.check_unbiased(
                jax.random.key(config.seed),
                sampler,
                losses.softmax,
                model=model,
                params=params,
                data=data,
                state=kept,
                batch=batch,
                rows=8,
                draws=1000,
                length=1,
                correction=correction,
            )
            found[arm] |= {f"{quantity}@{size}": one[quantity].bias for quantity in ("loss", "partition", "gradient")}
            found[arm] |= {f"gradient norm@{size}": one["gradient norm"].bias, f"loss sd@{size}": one["loss"].sd}
        log_bias = np.log([abs(found[arm][f"loss@{size}"]) for size in SIZES])
        found[arm]["loss slope"] = float(np.polyfit(np.log(SIZES), log_bias, 1)[0])
    return found


def _warmed(sampler, state, model, params, data):
    """The state of a sampler that has seen 500 batches of the finished model."""
    objective = objectives.objective(model, sampler, losses.softmax, score=scores.dot)

    def advance(state, key):
        batch_key, key = jax.random.split(key)
        batch = batches.draw(batch_key, data, 64, positives=1, length=1)
        candidates, state = objective.sample(key, state, batch)
        _, found = objective.value(key, params, objectives.States(state, {}), batch, candidates, data)
        return found.states.sampler, None

    return jax.jit(lambda state: jax.lax.scan(advance, state, jax.random.split(jax.random.key(7), 500))[0])(state)


def draw(path: pathlib.Path, found: dict) -> None:
    """The bias of the loss, and of the gradient along the exact one, against the number of candidates."""
    rows = found["rows"]
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, quantity in zip(panels, ("loss", "gradient"), strict=True):
        for number, (arm, row) in enumerate(rows.items()):
            means = np.array([abs(row[f"{quantity}@{size}"]["mean"]) for size in SIZES])
            style = {"linestyle": "--" if "correct" in arm else "-", "marker": "o"}
            panel.loglog(SIZES, means, label=arm, color=plots.PALETTE(number % 10), **style)
        panel.set(xlabel="candidates C", ylabel=f"|bias| of the {quantity}, share of the exact one")
    panels[1].legend(frameon=False, fontsize=7)
    plots.save(figure, path)
