"""Dot product against cosine: items with large norms are retrieved for all, and the norm grows with popularity.

Source: Google's course on recommendation systems, programming exercise (MovieLens 100K): nearest neighbours by dot
        product and by cosine, and the norms of movie embeddings against their number of ratings.
Claim:  with gravity an item's norm follows its popularity (rank correlation above .9); by dot product its nearest
        neighbours are at least twice as popular as by cosine, and share fewer of its genres. In the softmax model
        norms follow less, and the two scores differ less. Trained on observed pairs from a large start it is the other
        way round: rare items keep the norm that they began with, and the dot product retrieves them.
Run:    python launch.py --config=experiments/popularity_effect.py --config.data.path=data/ml-100k
        --save=results/popularity_effect
Expect: three minutes on two cores. The models are those of experiments/colab.py.
"""

import dataclasses

import jax
import numpy as np
import scipy.stats

from experiments import colab
from recjax import configs, plots, retrieval, scores, trained
from recjax.study import Measurement
from recjax.types import Dataset

MODELS = ("mf, observed pairs", "mf, gravity and L2", "softmax, rate 1")
NEIGHBOURS = 10
PARTS = 10  # of the items, from the least to the most popular


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    rows, arms = {}, colab.get_study().arms
    for name in MODELS:
        model = trained.train(dataclasses.replace(arms[name], seed=config.seed, data=config.data))
        held = model.split.test
        for score in (scores.dot, scores.cosine):
            ranking = trained.rank(model, held, score=score)
            found = trained.means(ranking, held.known, model.config)
            found |= neighbours(np.asarray(ranking.items), score, held.known)
            rows[f"{name}: {score.__name__}"] = found | norms(np.asarray(ranking.items), held.known)
    return rows


def popularity(known: Dataset) -> np.ndarray:
    return np.bincount(known.interactions.item, minlength=len(known.vocabularies["item"]))


def neighbours(items: np.ndarray, score, known: Dataset) -> dict[str, float]:
    """Of each item's nearest others: their mean popularity, and the Jaccard index of their genres and its own."""
    own = retrieval.excluded(np.arange(len(items)), np.arange(len(items)), len(items))
    _, ids = jax.jit(lambda items: retrieval.top_k(items, items, NEIGHBOURS, exclude=own, score=score))(items)
    bag = known.corpus["genres"]
    genres = np.zeros((len(items), len(known.vocabularies["genres"])), bool)
    rows, columns = np.nonzero(bag.where)
    genres[rows, bag.ids[rows, columns]] = True
    theirs, its = genres[np.asarray(ids)], genres[:, None, :]
    shared = np.sum(theirs & its, -1) / np.maximum(np.sum(theirs | its, -1), 1)
    return {
        "neighbours_popularity": float(np.mean(popularity(known)[np.asarray(ids)])),
        "neighbours_genres": float(np.mean(shared)),
    }


def norms(items: np.ndarray, known: Dataset) -> dict[str, float]:
    """The rank correlation of norm and popularity, and the mean norm of each tenth of the items over that of all."""
    norm, count = np.linalg.norm(items, axis=-1), popularity(known)
    parts = np.array_split(np.argsort(count, kind="stable"), PARTS)
    found = {f"norm_{number}": float(np.mean(norm[part]) / np.mean(norm)) for number, part in enumerate(parts, 1)}
    return found | {"norm_popularity": float(scipy.stats.spearmanr(norm, count).statistic)}


def draw(path, found) -> None:
    rows = found["rows"]

    def by_score(metric: str) -> dict:
        return {model: {score: rows[f"{model}: {score}"][metric] for score in ("dot", "cosine")} for model in MODELS}

    tenths = {
        model: {str(part): rows[f"{model}: dot"][f"norm_{part}"] for part in range(1, PARTS + 1)} for model in MODELS
    }
    panels = [
        plots.Panel("norm over the mean norm", "tenth of the items by popularity", tenths),
        plots.Panel("popularity of nearest neighbours", "score", by_score("neighbours_popularity")),
        plots.Panel("genres shared with them", "score", by_score("neighbours_genres")),
        plots.Panel("popularity of what is retrieved", "score", by_score("mean_popularity@10")),
    ]
    plots.lines(path, panels)


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(data=configs.Data(name="movielens_100k", split="share_out")),
        seeds=(0, 1, 2),
        columns=(
            "norm_popularity",
            "neighbours_popularity",
            "neighbours_genres",
            "mean_popularity@10",
            "coverage@10",
            "recall@10",
            "ndcg@10",
        ),
        draw=draw,
    )
