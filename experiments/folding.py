"""Folding: positives alone put groups that never interact into one region; negatives or gravity take them apart.

Source: Xin et al. 2017; the penalty: Krichene et al. 2019.
Claim:  on positives alone the softmax DNN's towers fold, with the squared and with the logistic loss: more than 70 % of
        the top 10 come from other groups. Matrix factorization does not. Every cure brings the share to 1 % or less,
        the world's own rate. In-group recall@10 is 98 % or more of the full softmax's for both models with each cure
        at a right weight, but for the DNN with the logistic loss on uniform negatives (97.8 %).
Run:    python launch.py --config=experiments/folding.py --workdir=runs/folding --save=results/folding
Expect: an hour on two cores, three seeds. The rate falls to 0, and the best parameters of all validations are kept.
        Chosen on validation, seed 10, a few values each: rates (1e-3, 2e-3, 3e-3, 5e-3), MF's epochs (20, 40), the
        weights of uniform negatives and of gravity with the logistic loss, the share of hard negatives (.05, .1, .2,
        .3; by the DNN), WALS's regularization. For D = 8 see experiments/folding_wals.py.
"""

import dataclasses

import matplotlib.pyplot as plt

from recjax import configs, plots
from recjax.study import Study

TO_THE_END = 1000  # validations without a better one: the best parameters are kept, whenever they were
STARTS = {
    "MF": configs.Config(model=configs.Model(name="mf"), train=configs.Train(epochs=20.0, patience=TO_THE_END)),
    "DNN": configs.Config(train=configs.Train(epochs=40.0, patience=TO_THE_END)),
}
NEGATIVES = 1024  # of 2,000 items
NONE = configs.Sampler(name="none")
SAMPLED = {
    "uniform": configs.Sampler(name="uniform", negatives=NEGATIVES),
    "popularity": configs.Sampler(name="popularity", negatives=NEGATIVES),
    "hard": configs.Sampler(name="hard", negatives=NEGATIVES, hard_share=0.2),
    "adaptive": configs.Sampler(name="adaptive", negatives=NEGATIVES),
}
RATES = {"MF": {"softmax": 2e-3, "pairs": 2e-3}, "DNN": {"softmax": 1e-3, "pairs": 2e-3}}
# Uniform negatives: the weight of an unobserved pair beside an observed one, and the learning rate.
UNIFORM = {
    "MF": {"squared": (0.01, 2e-3), "logistic": (0.01, 5e-3)},
    "DNN": {"squared": (0.01, 2e-3), "logistic": (0.03, 3e-3)},
}
GRAVITY = (1.0, 10.0, 30.0, 100.0, 300.0)
LOGISTIC_GRAVITY = 6.0
WALS = (0.0, 0.01, 0.1, 1.0)


def arm(
    start: configs.Config,
    loss: str,
    sampler: configs.Sampler,
    rate: float,
    *,
    weight: float = 1.0,
    gravity: float = 0.0,
) -> configs.Config:
    """`start` with a loss and what tells it of unobserved pairs: negatives and their weight, gravity, nothing."""
    return dataclasses.replace(
        start,
        sampler=sampler,
        objective=configs.Objective(loss=loss, unobserved_weight=weight),
        penalties=configs.Penalties(gravity=gravity),
        gravity=configs.Gravity(pairs="corpus" if gravity else "all"),
        optimizer=configs.Optimizer(learning_rate=rate, decay="cosine"),
    )


def wals(weight: float) -> configs.Config:
    return dataclasses.replace(
        STARTS["MF"],
        wals=configs.Wals(unobserved_weight=weight),
        train=configs.Train(method="wals", epochs=20.0, patience=TO_THE_END),
    )


def draw(path, found) -> None:
    """In-group recall against the share from other groups, an arm a point, gravity a line; bars of one deviation."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 4.6), sharey=True, layout="constrained")
    for panel, model in zip(panels, STARTS, strict=True):
        rows = {name: row for name, row in found["rows"].items() if name.startswith(model)}
        metrics = "cross_group_share@10", "in_group_recall@10"
        for curve in ("squared, gravity", "WALS, α0"):
            line = [row for name, row in rows.items() if name.startswith(f"{model}, {curve}")]
            panel.plot(*([row[metric]["mean"] for row in line] for metric in metrics), color="0.7", zorder=0)
        for number, (name, row) in enumerate(rows.items()):
            (share, off), (recall, up) = ((row[metric]["mean"], row[metric]["sd"]) for metric in metrics)
            style = {"color": plots.PALETTE(number % 10), "marker": "os^"[number // 10], "label": name}
            panel.errorbar(share, recall, up, off, linestyle="", capsize=2, **style)
        panel.set(xscale="symlog", xlabel="share of the top 10 from other groups", title=model)
        panel.set_xscale("symlog", linthresh=1e-3)
        panel.axvline(0.02, color="0.8", linestyle=":", zorder=0)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=7, bbox_to_anchor=(1.0, 1.0), loc="upper left")
    panels[0].set_ylabel("recall@10 within the own group")
    plots.save(figure, path)


def get_study() -> Study:
    arms = {}
    for model, start in STARTS.items():
        softmax, pairs = RATES[model]["softmax"], RATES[model]["pairs"]
        arms[f"{model}, full softmax"] = arm(start, "softmax", configs.Sampler(), softmax)
        arms |= {f"{model}, {loss}, positives only": arm(start, loss, NONE, pairs) for loss in UNIFORM[model]}
        arms |= {
            f"{model}, {loss}, uniform": arm(start, loss, SAMPLED["uniform"], rate, weight=weight)
            for loss, (weight, rate) in UNIFORM[model].items()
        }
        arms |= {f"{model}, softmax, {name}": arm(start, "softmax", one, softmax) for name, one in SAMPLED.items()}
        arms |= {
            f"{model}, squared, gravity {weight:g}": arm(start, "squared", NONE, pairs, gravity=weight)
            for weight in GRAVITY
        }
        name = f"{model}, logistic, gravity {LOGISTIC_GRAVITY:g}"
        arms[name] = arm(start, "logistic", NONE, pairs, gravity=LOGISTIC_GRAVITY)
        if model == "MF":
            arms |= {f"{model}, WALS, α0 = {weight:g}": wals(weight) for weight in WALS}
    columns = ("recall@10", "in_group_recall@10", "cross_group_share@10", "cross_group_auc", "coverage@10")
    return Study(arms=arms, seeds=(0, 1, 2), columns=columns, draw=draw)
