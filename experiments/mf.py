"""Matrix factorization by gradient: a table of queries, a table of items, the softmax over the whole corpus.

Source: Koren et al. 2009 (the model); Wu et al. 2024, BSL (that a softmax loss serves it well).
Claim:  beats popularity at least twice in NDCG@10 with nothing but ids.
Run:    python launch.py --config=experiments/mf.py
Expect: under a minute on two cores; on MovieLens 1M see results/movielens.json.
"""

from recjax import configs


def get_config() -> configs.Config:
    return configs.Config(
        model=configs.Model(name="mf"),
        penalties=configs.Penalties(l2=0.01),
        optimizer=configs.Optimizer(learning_rate=2e-3),
    )
