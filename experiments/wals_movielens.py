"""WALS on MovieLens 1M, under the protocol of experiments/movielens.py.

Source: Rendle, Krichene, Zhang, Koren 2022 (the objective); Harper and Konstan 2015 (the data).
Claim:  beats popularity at least twice in NDCG@10, and gradient MF (results/movielens.json) too.
Run:    python launch.py --config=experiments/wals_movielens.py --config.data.path=data/ml-1m
        --save=results/wals_movielens
Expect: three minutes on two cores. α0 and λ were chosen on validation at D = 64, out of α0 in .03, .1, .3, .6, 1 and λ
        in .001, .002, .003, .01, .03.
"""

import dataclasses

from experiments import movielens, wals
from recjax import configs
from recjax.study import Study


def get_study() -> Study:
    def arm(dimension: int) -> configs.Config:
        return dataclasses.replace(
            wals.get_config(),
            data=configs.Data(name="movielens_1m"),
            model=configs.Model(name="mf", dimension=dimension),
            wals=configs.Wals(unobserved_weight=0.6, regularization=0.001),
        )

    arms = {f"wals, D = {dimension}": arm(dimension) for dimension in (64, 256)}
    return dataclasses.replace(movielens.get_study(), arms=arms)
