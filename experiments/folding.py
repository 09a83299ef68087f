"""Folding: positives alone put groups that never interact into one region; negatives or gravity take them apart.

Source: Xin et al. 2017; the penalty: Krichene et al. 2019.
Claim:  the softmax DNN's towers, trained with the squared loss on observed pairs alone, fold: at least 30 % of the
        top 10 come from other groups. Uniform negatives, and gravity, each bring that down at least tenfold, and keep
        recall@10 at 95 % or more of the full softmax's. Gravity over a batch's own positives, which weights items by
        popularity, takes the groups apart as well, but costs recall.
Run:    python launch.py --config=experiments/folding.py --save=results/folding
Expect: about ten minutes on two cores, five seeds. The weights of the cures were chosen on validation.
"""

from recjax import configs, plots
from recjax.study import Study


def get_study() -> Study:
    squared = configs.Objective(loss="squared")
    none = configs.Sampler(name="none")
    long = configs.Train(epochs=40.0)  # every arm stops by validation, not by the end
    return Study(
        arms={
            "full softmax": configs.Config(train=long),
            "positives only": configs.Config(train=long, objective=squared, sampler=none),
            "uniform negatives": configs.Config(
                train=long,
                objective=configs.Objective(loss="squared", unobserved_weight=0.01),
                sampler=configs.Sampler(name="uniform"),
            ),
            "gravity": configs.Config(
                train=long,
                objective=squared,
                sampler=none,
                penalties=configs.Penalties(gravity=100.0),
                gravity=configs.Gravity(pairs="corpus"),
            ),
            "batch gravity": configs.Config(
                train=long,
                objective=squared,
                sampler=none,
                penalties=configs.Penalties(gravity=10.0),
                gravity=configs.Gravity(pairs="examples", estimate="batch"),
            ),
        },
        seeds=(0, 1, 2, 3, 4),
        columns=(
            "recall@10",
            "ndcg@10",
            "coverage@10",
            "cross_group_share@10",
            "cross_group_auc",
            "folding_excess",
            "random_pair_auc",
            "random_score_q50",
            "random_score_q90",
            "random_score_q99",
        ),
        draw=lambda path, found: plots.bars(
            path, found["rows"], ("recall@10", "cross_group_share@10", "folding_excess", "random_pair_auc")
        ),
    )
