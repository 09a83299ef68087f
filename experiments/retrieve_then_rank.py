"""Matrix factorization retrieves, a network ranks: what was not retrieved cannot fold into the list.

Source: Google's course on recommendation systems, its table of matrix factorization against deep models, last remark:
        it is usually acceptable that a network folds, since it ranks candidates that are assumed to be relevant.
Claim:  a softmax DNN's towers trained on positives alone put at least 30 % of the top 10 into groups that have nothing
        to do with the query. Where they rank the 20 or 100 items that WALS retrieved, that share is at most a tenth of
        it. That does not make them good: their NDCG@10 stays below WALS's.
Run:    python launch.py --config=experiments/retrieve_then_rank.py --save=results/retrieve_then_rank
Expect: eight minutes on two cores, three seeds.
"""

import dataclasses

from experiments import folding, wals
from recjax import configs, plots, trained
from recjax.study import Measurement

LISTS = (20, 100)
ARMS = {"folded dnn": "DNN, squared, positives only", "dnn": "DNN, full softmax"}  # of the study `folding`


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    arms = folding.get_study().arms
    own = {"wals": wals.get_config()} | {name: arms[arm] for name, arm in ARMS.items()}
    models = {
        name: trained.train(dataclasses.replace(one, seed=config.seed, data=config.data)) for name, one in own.items()
    }
    held, lists = models["wals"].split.test, trained.rank(models["wals"], models["wals"].split.test, most=max(LISTS))
    rows = {}
    for name, model in models.items():
        rows[name] = trained.means(trained.rank(model, held), held.known, model.config)
        for most in LISTS if name != "wals" else ():
            ranking = trained.rank(model, trained.among(held, lists, most))
            rows[f"wals {most}, {name}"] = trained.means(ranking, held.known, model.config)
    return rows


def draw(path, found) -> None:
    rows = found["rows"]
    names = {str(most): f"wals {most}, " for most in LISTS} | {"all": ""}

    def panel(metric: str) -> plots.Panel:
        found = {
            model: {size: rows[before + model][metric] for size, before in names.items()}
            for model in ("folded dnn", "dnn")
        }
        found["wals"] = dict.fromkeys(names, rows["wals"][metric])
        return plots.Panel(metric, "items that WALS retrieves", found)

    plots.lines(path, [panel(metric) for metric in ("cross_group_share@10", "ndcg@10", "recall@10")])


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(),
        seeds=(0, 1, 2),
        columns=("recall@10", "ndcg@10", "coverage@10", "mean_popularity@10", "cross_group_share@10"),
        draw=draw,
    )
