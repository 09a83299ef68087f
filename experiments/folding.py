"""Folding: positives alone put groups that never interact into one region; negatives or gravity take them apart.

Source: Xin et al. 2017; the penalty: Krichene et al. 2019.
Claim:  on positives alone the softmax DNN's towers fold, with the squared and with the logistic loss: more than 70 % of
        the top 10 come from other groups. Matrix factorization does not. Every cure brings the share to 1 % or less,
        the world's own rate. In-group recall@10 is 98 % or more of the full softmax's for both models with the logistic
        loss and gravity and with hard negatives, for the DNN with the squared loss and gravity from 10 on, for MF with
        popularity and adaptive negatives; not with uniform negatives.
Run:    python launch.py --config=experiments/folding.py --save=results/folding
Expect: twenty minutes on two cores, three seeds. The weights of uniform negatives and of gravity with the logistic loss
        were chosen on validation, seed 10. For WALS see experiments/folding_wals.py.
"""

import matplotlib.pyplot as plt

from recjax import configs, plots
from recjax.study import Study

MODELS = {"MF": configs.Model(name="mf"), "DNN": configs.Model()}
RATES = {"MF": 2e-3, "DNN": 1e-3}
NONE = configs.Sampler(name="none")
UNIFORM = configs.Sampler(name="uniform", negatives=256)
SAMPLED = {
    "uniform": UNIFORM,
    "popularity": configs.Sampler(name="popularity", negatives=256),
    "hard": configs.Sampler(name="hard", negatives=256, hard_share=0.1),
    "adaptive": configs.Sampler(name="adaptive", negatives=256),
}
WEIGHTS = {"squared": 0.01, "logistic": 0.001}  # of an unobserved pair beside an observed one
GRAVITY = (1.0, 10.0, 30.0, 100.0, 300.0)
LOGISTIC_GRAVITY = 6.0


def arm(
    model: str, loss: str, sampler: configs.Sampler, *, weight: float = 1.0, gravity: float = 0.0
) -> configs.Config:
    return configs.Config(
        model=MODELS[model],
        sampler=sampler,
        objective=configs.Objective(loss=loss, unobserved_weight=weight),
        penalties=configs.Penalties(gravity=gravity),
        gravity=configs.Gravity(pairs="corpus" if gravity else "all"),
        optimizer=configs.Optimizer(learning_rate=RATES[model]),
        train=configs.Train(epochs=40.0),  # validation stops every arm before
    )


def draw(path, found) -> None:
    """In-group recall against the share from other groups, an arm a point, gravity a line; bars of one deviation."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 4.6), sharey=True, layout="constrained")
    for panel, model in zip(panels, MODELS, strict=True):
        rows = {name: row for name, row in found["rows"].items() if name.startswith(model)}
        line = [rows[f"{model}, squared, gravity {weight:g}"] for weight in GRAVITY]
        metrics = "cross_group_share@10", "in_group_recall@10"
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
    for model in MODELS:
        arms[f"{model}, full softmax"] = arm(model, "softmax", configs.Sampler())
        arms |= {f"{model}, {loss}, positives only": arm(model, loss, NONE) for loss in WEIGHTS}
        arms |= {f"{model}, {loss}, uniform": arm(model, loss, UNIFORM, weight=WEIGHTS[loss]) for loss in WEIGHTS}
        arms |= {f"{model}, softmax, {name}": arm(model, "softmax", sampler) for name, sampler in SAMPLED.items()}
        arms |= {
            f"{model}, squared, gravity {weight:g}": arm(model, "squared", NONE, gravity=weight) for weight in GRAVITY
        }
        name = f"{model}, logistic, gravity {LOGISTIC_GRAVITY:g}"
        arms[name] = arm(model, "logistic", NONE, gravity=LOGISTIC_GRAVITY)
    columns = ("recall@10", "in_group_recall@10", "cross_group_share@10", "cross_group_auc", "coverage@10")
    return Study(arms=arms, seeds=(0, 1, 2), columns=columns, draw=draw)
