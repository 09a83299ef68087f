"""Newcomers: new items, new queries that come with features alone, and new queries that have done a little.

Source: Google's course on recommendation systems (softmax training): a DNN takes side features and so answers new
        queries, where matrix factorization needs heuristics; Volkovs et al. 2017 (DropoutNet) for the splits.
Claim:  over the whole corpus the two-tower of item features retrieves new items best; among new items alone the mean of
        similar items does. For new queries with a history closed-form fold-in is better than the network, the mean of
        similar queries lies between, and EASE is best. With features alone nobody has an eighth more recall than
        popularity.
Run:    python launch.py --config=experiments/cold_start.py --config.data.path=data --save=results/cold_start
Expect: twenty minutes on two cores. data.path holds ml-1m and online-retail. Nothing was tuned: the settings are those
        of experiments/wals.py, softmax.py and two_tower.py.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from experiments import wals
from recjax import baselines, configs, evaluate, plots, preparation, trained
from recjax.study import Measurement
from recjax.types import HeldOut

SOURCES = {"ML-1M": ("movielens_1m", "ml-1m"), "Online Retail": ("online_retail", "online-retail")}
NEW_ITEMS, FEATURES, HISTORY = "new items", "new queries, features", "new queries, history"
SPLITS = {NEW_ITEMS: "cold_items", FEATURES: "cold_queries", HISTORY: "queries_out"}
BASELINES = {
    NEW_ITEMS: (baselines.random,),
    FEATURES: (baselines.popularity, baselines.random),
    HISTORY: (baselines.popularity, baselines.item_knn, baselines.ease),
}
METRICS = ("recall@20", "ndcg@20")


def arms(case: str, data: configs.Data) -> dict[str, configs.Config]:
    """Who answers, by name."""

    def net(**settings) -> configs.Config:
        two_tower = "item_features" in settings
        # Other negatives would be drawn from the whole corpus: an item that never is a positive learns to be low.
        negatives = configs.Sampler(name="in_batch") if two_tower else configs.Sampler()
        return configs.Config(
            data=data,
            model=configs.Model(name="two_tower" if two_tower else "softmax_dnn", **settings),
            sampler=negatives,
            train=configs.Train(epochs=6.0),
        )

    def factors(**settings) -> configs.Config:
        given = dataclasses.replace(wals.get_config(), data=data)
        fold_in = dataclasses.replace(given.wals, fold_in=not settings)
        return dataclasses.replace(given, model=dataclasses.replace(given.model, **settings), wals=fold_in)

    if case == NEW_ITEMS:
        return {
            "two-tower, item features": net(query_features=("history", "side"), item_features=("side",)),
            "MF, mean of similar items": factors(newcomers="features"),
        }
    if case == FEATURES:
        return {
            "DNN, side features": net(query_features=("side",)),
            "DNN, history and side": net(query_features=("history", "side")),
            "MF, mean of similar queries": factors(newcomers="features"),
        }
    return {
        "DNN, history and side": net(query_features=("history", "side")),
        "MF, fold-in": factors(),
        "MF, mean of similar queries": factors(newcomers="history"),
    }


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    """A row a source, case and arm."""
    rows = {}
    for source, (name, folder) in SOURCES.items():
        for case, split in SPLITS.items():
            data = configs.Data(name=name, path=f"{config.data.path}/{folder}", split=split, seed=config.seed)
            one = dataclasses.replace(config, data=data)
            _, parts = preparation.load(one)
            for arm, given in arms(case, data).items():
                model = trained.train(dataclasses.replace(given, seed=config.seed, evaluate=config.evaluate))
                rows[f"{source}, {case}: {arm}"] = judged(functools.partial(trained.rank, model), parts.test, one)
            for baseline in BASELINES[case]:
                rank = functools.partial(trained.beside, baseline, config=one)
                rows[f"{source}, {case}: {baseline.__name__}"] = judged(rank, parts.test, one)
    return rows


def judged(rank: Callable[[HeldOut], evaluate.Ranking], held: HeldOut, config: configs.Config) -> dict[str, float]:
    """The metrics over the whole corpus; where the split holds items out, also the recall among these alone."""
    found = trained.means(rank(held), held.known, config)
    if config.data.split != SPLITS[NEW_ITEMS]:
        return found
    new = np.unique(held.relevant.item)
    alone = held._replace(candidates=np.tile(new, (len(np.unique(held.relevant.query)), 1)))
    return found | {f"new_{METRICS[0]}": trained.means(rank(alone), held.known, config)[METRICS[0]]}


def draw(path, found) -> None:
    plots.bars(path, found["rows"], METRICS)


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(evaluate=configs.Evaluate(k=(20,), select="ndcg@20")),
        seeds=(0, 1, 2),
        columns=(*METRICS, f"new_{METRICS[0]}", "coverage@20", "mean_popularity@20"),
        draw=draw,
    )
