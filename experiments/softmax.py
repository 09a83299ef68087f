"""Softmax DNN: history bag and side features -> ψ(x), softmax over the whole corpus.

Source: Covington et al. 2016 (deep neural networks for YouTube recommendations), section 3.
Claim:  beats popularity by far, and with the full softmax hardly folds.
Run:    python launch.py
Expect: under a minute on two cores.
"""

from recjax import configs


def get_config() -> configs.Config:
    return configs.Config()
