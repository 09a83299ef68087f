"""Two-tower: a net over the query's history and side features, a net over the item's id and side features.

Source: Yi et al. 2019 (in-batch softmax with log-q correction); Yang et al. 2020 (mixed negatives).
Claim:  beats popularity at least twice in NDCG@10.
Run:    python launch.py --config=experiments/two_tower.py
Expect: under a minute on two cores; on MovieLens 1M see results/movielens.json.
"""

from recjax import configs


def get_config() -> configs.Config:
    return configs.Config(
        model=configs.Model(name="two_tower"),
        sampler=configs.Sampler(name="mixed", negatives=512, exponent=0.0),
    )
