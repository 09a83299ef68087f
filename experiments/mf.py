"""Matrix factorization by gradient.

Source: Koren et al. 2009; the softmax loss as in Wu et al. 2024 (BSL).
Claim:  beats popularity at least twice in NDCG@10 with nothing but ids.
Run:    python launch.py --config=experiments/mf.py
Expect: under a minute on two cores.
"""

from recjax import configs


def get_config() -> configs.Config:
    return configs.Config(model=configs.Model(name="mf"))
