"""Softmax DNN: history and side features -> ψ(x), softmax over the whole corpus, histories and items in one table.

Source: Covington et al. 2016 (deep neural networks for YouTube recommendations), section 3.
Claim:  beats popularity at least three times in NDCG@10; with the full softmax it hardly folds.
Run:    python launch.py
Expect: under a minute on two cores; on MovieLens 1M see results/movielens.json.
"""

from recjax import configs


def get_config() -> configs.Config:
    return configs.Config()
