"""Covington's network on MovieLens 1M: depth, features, example age, what is predicted, and how much a query counts.

Source: Covington, Adams, Sargin 2016 (deep neural networks for YouTube recommendations): figure 6 (depth by features),
        section 3.3 (example age), figure 5 (a random held-out watch or the future one), section 3.4 (examples a user).
Claim:  each layer helps, and so do side features and recency together at every depth. Trained to fill gaps, the network
        is better at random held-out interactions than any arm at the future, and worst at the future. Example age and
        a cap on examples a query do not help here (docs/youtube.md says why that may be).
Run:    python launch.py --config=experiments/youtube.py --config.data.path=data/ml-1m --save=results/youtube
Expect: ten minutes on two cores. One seed and three epochs: no arm is trained to its end. Nothing was tuned. Where an
        arm's name tells neither, it has the history and the side features, and one hidden layer; "example age" has
        recency, too.
"""

import dataclasses

from recjax import baselines, configs, plots, trained
from recjax.study import Measurement

DEPTHS = {"0": (), "1": (256,), "2": (512, 256)}
ALL = ("history", "side", "recency")
FEATURES = {"history": ("history",), "history, side, recency": ALL}
CAPS = (20, 100)
PAST, RING, RANDOM = "past → future", "ring → future", "ring → random"


def arms() -> dict[str, configs.Config]:
    def arm(hidden=DEPTHS["1"], features=("history", "side"), split: str = "last_out", cap: int = 0):
        return configs.Config(
            data=configs.Data(name="movielens_1m", split=split, cap=cap),
            model=configs.Model(hidden=hidden, query_features=features),
            train=configs.Train(epochs=3.0, evaluate=3.0),
        )

    found = {
        f"depth {depth}, {name}": arm(hidden, features)
        for depth, hidden in DEPTHS.items()
        for name, features in FEATURES.items()
    }
    found["example age"] = arm(features=(*ALL, "example_age"))
    found |= {PAST: arm(), RING: arm(split="last_out_ring"), RANDOM: arm(split="random_out")}
    return found | {f"cap {cap}": arm(cap=cap) for cap in CAPS}


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    """The test metrics of each arm, and of popularity in the two ways of judging."""
    rows = {}
    for name, arm in arms().items():
        data = dataclasses.replace(arm.data, name=config.data.name, path=config.data.path)
        model = trained.train(dataclasses.replace(arm, data=data, seed=config.seed))
        held = model.split.test
        rows[name] = trained.means(trained.rank(model, held), held.known, config)
        if name in (PAST, RANDOM):
            ranking = trained.beside(baselines.popularity, held, model.config)
            where = "random" if name == RANDOM else "future"
            rows[f"popularity → {where}"] = trained.means(ranking, held.known, config)
    return rows


def draw(path, found) -> None:
    rows = found["rows"]
    metric = "ndcg@10"

    def line(named) -> dict:
        return {place: rows[row][metric] for place, row in named.items()}

    by_depth = {name: line({depth: f"depth {depth}, {name}" for depth in DEPTHS}) for name in FEATURES}
    ages = line({"off": "depth 1, history, side, recency", "on": "example age"})
    judged = line({one: one for one in (PAST, RING, RANDOM)})
    caps = line({str(cap): f"cap {cap}" for cap in CAPS} | {"all": PAST})
    plots.lines(
        path,
        [
            plots.Panel(metric, "hidden layers", by_depth),
            plots.Panel(metric, "example age", {"": ages}),
            plots.Panel(metric, "trained → judged", {"": judged}),
            plots.Panel(metric, "examples a query", {"": caps}),
        ],
    )


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(data=configs.Data(name="movielens_1m")),
        seeds=(0,),
        columns=("recall@10", "recall@20", "ndcg@10", "ndcg@20", "mrr@10", "coverage@10", "mean_popularity@10"),
        draw=draw,
    )
