"""The three setups on MovieLens 1M: every rating is a positive, the last one of each query is the test.

Source: Harper and Konstan 2015 (the data). No published table has this protocol: ties of time keep the order of the
        file, the whole corpus is ranked, and what a query has seen is left out.
Claim:  each setup beats popularity at least twice in NDCG@10, the softmax DNN at least three times.
Run:    python launch.py --config=experiments/movielens.py --config.data.path=FOLDER/ml-1m --save=results/movielens
Expect: NDCG@10 of popularity .018; under 5 minutes a run on two cores.
"""

import dataclasses

from experiments import mf, softmax, two_tower
from recjax import configs, plots
from recjax.study import Study


def get_study() -> Study:
    data = configs.Data(name="movielens_1m")
    arms = {one.__name__.split(".")[-1]: one.get_config() for one in (mf, softmax, two_tower)}
    return Study(
        arms={arm: dataclasses.replace(config, data=data) for arm, config in arms.items()},
        seeds=(0, 1, 2),
        columns=(
            "recall@10",
            "recall@20",
            "ndcg@10",
            "ndcg@20",
            "mrr@10",
            "coverage@10",
            "mean_popularity@10",
            "folding_excess",
        ),
        draw=lambda path, found: plots.bars(path, found["rows"], ("ndcg@10", "coverage@10", "folding_excess")),
    )
