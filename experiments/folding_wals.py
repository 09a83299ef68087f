"""Folding against the unobserved weight: one knob of WALS takes apart what positives alone fold together.

Source: Google's recommender course (raising w0 reduces folding); Krichene et al. 2019 (the unobserved loss is gravity).
Claim:  at D = 8 on the embedded world, with α0 = 0 at least 5 % of the top 10 come from groups that have nothing to do
        with the query; with α0 = .001 less than a fifth of that, and recall@10 more than doubles. More weight brings
        more popular items, and recall has its best in between.
Run:    python launch.py --config=experiments/folding_wals.py --save=results/folding_wals
Expect: ten minutes on two cores, nearly all of it compiling. λ was chosen on validation.
"""

from recjax import configs, plots
from recjax.study import Study

WEIGHTS = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def get_study() -> Study:
    def arm(weight: float) -> configs.Config:
        return configs.Config(
            model=configs.Model(name="mf", dimension=8),
            wals=configs.Wals(solver="cholesky", unobserved_weight=weight, regularization=0.01),
            train=configs.Train(method="wals", epochs=10.0, evaluate=2.0),
        )

    panels = ("cross_group_share@10", "folding_excess", "recall@10", "mean_popularity@10")
    return Study(
        arms={f"α0 = {weight:g}": arm(weight) for weight in WEIGHTS},
        seeds=(0, 1, 2),
        columns=(
            "recall@10",
            "ndcg@10",
            "coverage@10",
            "mean_popularity@10",
            "cross_group_share@10",
            "cross_group_auc",
            "folding_excess",
            "random_pair_auc",
        ),
        draw=lambda path, found: plots.against(
            path, "unobserved weight α0", {weight: found["rows"][f"α0 = {weight:g}"] for weight in WEIGHTS}, panels
        ),
    )
