"""Gowalla in the lists of LightGCN by item-based models without training: nearest neighbours and EASE, beside iALS.

Source: Sarwar et al. 2001 (item-based neighbours); Steck 2019 (EASE); the published numbers as a public table of that
        split (BARS) collects them.
Claim:  with default settings EASE stays .004 below the table in recall and in NDCG, item_knn .03. EASE has nearly
        the recall of MF by the softmax and more NDCG (results/gowalla.json), without a gradient.
Run:    python launch.py --config=experiments/gowalla_item_based.py --config.data.path=data/gowalla
        --save=results/gowalla_item_based
Expect: a quarter of an hour on two cores, and 21 GB: each keeps a number a pair of items. One seed, as neither draws
        anything. Nothing was tuned: 100 neighbours and λ = 300 are the defaults.
"""

import dataclasses

from experiments import gowalla
from recjax import configs
from recjax.study import Study


def get_study() -> Study:
    study = gowalla.get_study()
    baselines = configs.Baselines(names=("popularity", "random", "item_knn", "ease"))
    published = {"item_knn": (0.1570, 0.1214), "ease": (0.1765, 0.1467)}
    return dataclasses.replace(
        study,
        arms={"iALS": dataclasses.replace(study.arms["iALS"], baselines=baselines)},
        seeds=(0,),
        published={row: dict(zip(gowalla.COLUMNS, values, strict=True)) for row, values in published.items()},
    )
