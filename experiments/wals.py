"""Matrix factorization by weighted alternating least squares (iALS): every pair counts, through Gramians.

Source: Hu, Koren, Volinsky 2008; Rendle, Krichene, Zhang, Koren 2022 (the objective, and how to set it).
Claim:  beats popularity at least twice in NDCG@10.
Run:    python launch.py --config=experiments/wals.py
Expect: under half a minute on two cores, most of it compiling; on MovieLens 1M see results/wals_movielens.json.
"""

from recjax import configs


def get_config() -> configs.Config:
    return configs.Config(
        model=configs.Model(name="mf"),
        wals=configs.Wals(unobserved_weight=0.3, regularization=0.003),
        train=configs.Train(method="wals", epochs=20.0, patience=5),
    )
