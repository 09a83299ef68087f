"""Adaptive importance sampling beside the full softmax, while it scores a tenth of the corpus.

Source: Bengio and Senécal 2003, 2008 (importance sampling of the softmax, with a proposal that adapts).
Claim:  the softmax DNN on MovieLens 1M, 3 epochs in batches of 128. With 369 adaptive negatives, which with the
        positive are a tenth of the 3,706 items, test NDCG@10 over five seeds is that of the full softmax: the one-sided
        95 % interval of the paired differences lies above -3 %. So few uniform negatives come close, too.
Run:    python launch.py --config=experiments/adaptive.py --config.data.path=FOLDER/ml-1m --save=results/adaptive
Expect: 15 minutes on two cores. experiments/adaptive_rates.py chose the learning rates on validation; the floor, .4
        rather than .1, was chosen so as well, on its seed.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np

from experiments import softmax
from recjax import configs, plots
from recjax.study import Study

RATES = {"full softmax": 4e-3, "adaptive": 4e-3, "uniform": 4e-3}


def draw(path, found) -> None:
    """Validation NDCG@10 against steps, items scored and seconds of training, with bands over seeds."""
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True, layout="constrained")
    for number, (arm, curve) in enumerate(found["curves"].items()):
        sampler = found["configs"][arm]["sampler"]
        most = found["data"]["items"] if sampler["name"] == "full" else sampler["negatives"]
        step = np.array([int(one) for one in curve])
        scored = np.array([point["scored"]["mean"] if "scored" in point else most for point in curve.values()])
        seconds = np.array([point["seconds"]["mean"] for point in curve.values()])
        mean, sd = (np.array([point["ndcg@10"][one] for point in curve.values()]) for one in ("mean", "sd"))
        pairs = step * (1 + scored) * found["configs"][arm]["train"]["batch"]
        for panel, place in zip(panels, (step, pairs, seconds), strict=True):
            panel.fill_between(place, mean - sd, mean + sd, color=plots.PALETTE(number), alpha=0.2, linewidth=0)
            panel.plot(place, mean, marker="o", markersize=4, color=plots.PALETTE(number), label=arm)
            panel.spines[["top", "right"]].set_visible(False)
    for panel, label in zip(panels, ("steps", "pairs scored", "seconds of training"), strict=True):
        panel.set(xlabel=label, xscale="log" if label == "pairs scored" else "linear")
    panels[0].set_ylabel("validation NDCG@10")
    panels[0].legend(frameon=False)
    plots.save(figure, path)


def get_study() -> Study:
    samplers = {
        "full softmax": configs.Sampler(),
        "adaptive": configs.Sampler(name="adaptive", negatives=369, floor=0.4, enough=16.0),
        "uniform": configs.Sampler(name="uniform", negatives=369),
    }
    train = configs.Train(epochs=3.0, batch=128, evaluate=0.25, patience=12)
    config = dataclasses.replace(softmax.get_config(), data=configs.Data(name="movielens_1m"), train=train)
    arms = {
        name: dataclasses.replace(
            config, sampler=sampler, optimizer=configs.Optimizer(learning_rate=RATES[name], decay="cosine")
        )
        for name, sampler in samplers.items()
    }
    return Study(
        arms=arms,
        seeds=(0, 1, 2, 3, 4),
        columns=("validation_ndcg@10", "ndcg@10", "recall@10", "coverage@10", "mean_popularity@10", "folding_excess"),
        draw=draw,
    )
