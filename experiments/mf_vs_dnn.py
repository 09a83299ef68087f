"""Matrix factorization against a softmax DNN: the table of Google's course, row by row, with measured numbers.

Source: Google's course on recommendation systems, softmax training, "DNN versus matrix factorization": query features,
        cold start, folding (experiments/retrieve_then_rank.py), cost of training and of serving.
Claim:  on MovieLens 100K an iteration of WALS takes less than a hundredth of the products of an epoch of the full
        softmax, and a stored list is read in less than a tenth of the time that the network needs to answer a query.
        Of new queries with most of what they did known, closed-form fold-in retrieves better than the network. The
        network with side features ranks what WALS retrieved better than WALS does.
Run:    python launch.py --config=experiments/mf_vs_dnn.py --config.data.path=data/ml-100k --save=results/mf_vs_dnn
Expect: six minutes on two cores. WALS's α0 and λ were chosen on validation (seed 0), out of .1, .3, .6, 1 and .001,
        .003, .01, .03; the others' settings are those of experiments/mf.py and experiments/softmax.py. For MovieLens 1M
        add --config.data.name=movielens_1m and its path.
"""

import dataclasses
import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from experiments import mf, wals
from recjax import baselines, batches, configs, folding, plots, retrieval, trained
from recjax.interactions import take
from recjax.study import Measurement
from recjax.types import HeldOut

STORED = 100  # items of a stored list, and items retrieved for ranking
FEW = 5  # interactions known of a new query
LONG = configs.Train(epochs=25.0, evaluate=2.5)


def models(data: configs.Data) -> dict[str, configs.Config]:
    def dnn(*features: str) -> configs.Config:
        return configs.Config(
            data=data,
            model=configs.Model(query_features=features),
            train=LONG,
        )

    return {
        "wals": dataclasses.replace(
            wals.get_config(), data=data, wals=configs.Wals(unobserved_weight=1.0, regularization=0.003)
        ),
        "mf": dataclasses.replace(mf.get_config(), data=data, train=LONG),
        "dnn, history": dnn("history"),
        "dnn, history and side": dnn("history", "side"),
    }


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    def seeded(one: configs.Config) -> configs.Config:
        return dataclasses.replace(one, seed=config.seed)

    found = {name: trained.train(seeded(one)) for name, one in models(config.data).items()}
    held = found["wals"].split.test
    rows = {name: warm(one, held) | costs(one, held) for name, one in found.items()}
    lists = trained.rank(found["wals"], held, most=STORED)
    for name in ("dnn, history", "dnn, history and side"):
        ranking = trained.rank(found[name], trained.among(held, lists, STORED))
        rows[f"wals {STORED}, {name}"] = trained.means(ranking, held.known, config)
    rows["wals"] |= stored(lists.ids[:, :STORED])
    rows["popularity"] = trained.means(trained.beside(baselines.popularity, held, config), held.known, config)
    for name, one in models(dataclasses.replace(config.data, split="queries_out")).items():
        if name != "mf":  # has no row for a query that it was not trained on
            fold_in = dataclasses.replace(one.wals, fold_in=name == "wals")
            rows[name] |= cold(trained.train(seeded(dataclasses.replace(one, wals=fold_in))))
    return rows


def warm(model: trained.Trained, held: HeldOut) -> dict[str, float]:
    """The metrics of a run, and the probability that a known pair scores above a random one."""
    ranking = trained.rank(model, held)
    scores = np.asarray(model.retriever.score(ranking.queries, ranking.items))
    row = np.searchsorted(ranking.query, held.known.interactions.query)
    judged = ranking.query[np.minimum(row, len(ranking.query) - 1)] == held.known.interactions.query
    observed = scores[row[judged], held.known.interactions.item[judged]]
    auc = folding.auc(observed, scores[: 2**22 // scores.shape[1]].reshape(-1))
    return trained.means(ranking, held.known, model.config) | {"random_pair_auc": auc}


def cold(model: trained.Trained) -> dict[str, float]:
    """NDCG@10 for queries that training has not seen, by what is known of them when they ask: four fifths, or a few."""
    held = model.split.test
    parts = {"new_ndcg@10": held, f"new_{FEW}_ndcg@10": first(held, FEW)}
    return {
        name: trained.means(trained.rank(model, part), part.known, model.config)["ndcg@10"]
        for name, part in parts.items()
    }


def first(held: HeldOut, count: int) -> HeldOut:
    """The same judgement, with only the first interactions of the judged queries known (their order is random)."""
    query = held.known.interactions.query
    place = np.arange(len(query)) - np.searchsorted(query, query)
    kept = ~np.isin(query, held.relevant.query) | (place < count)
    return held._replace(known=held.known._replace(interactions=take(held.known.interactions, kept)))


def costs(model: trained.Trained, held: HeldOut) -> dict[str, float]:
    """Training: seconds and GFLOP (products alone) an epoch, epochs done. Serving: µs to answer one query from what is
    in memory, and megabytes of the parameters that must be there.
    """
    params = model.retriever.ready(trained.params_of(model, held))
    data = batches.prepare(held.known)
    items = jax.jit(model.retriever.items)(params, data)
    length = model.config.model.history

    def answer(params, items, data, query):
        features = batches.features(data, query, data.offsets[query + 1], length, now=data.span[None])
        return retrieval.top_k(model.retriever.queries(params, features), items, STORED, score=model.retriever.score)

    run = jax.jit(answer)
    answer_us = microseconds(lambda query: jax.block_until_ready(run(params, items, data, jnp.asarray([query]))))
    return {
        "epoch_s": model.epoch_s,
        "epoch_gflop": flops(model) / 1e9,
        "epochs": model.steps / model.epoch,
        "answer_us": answer_us,
        "parameters_mb": sum(leaf.nbytes for leaf in jax.tree.leaves(params)) / 1e6,
    }


def stored(lists: np.ndarray) -> dict[str, float]:
    """µs to read the list of one query that was made beforehand, and its bytes."""
    lists = np.ascontiguousarray(lists, np.int32)
    return {
        "stored_us": microseconds(lambda query: lists[query % len(lists)].copy()),
        "stored_bytes": float(lists[0].nbytes),
    }


def microseconds(one, repeats: int = 300) -> float:
    """The median time of a call."""
    one(0)
    found = []
    for query in range(repeats):
        begin = time.perf_counter()
        one(query)
        found.append(time.perf_counter() - begin)
    return float(np.median(found) * 1e6)


def flops(model: trained.Trained) -> float:
    """Products of one epoch: 2 for each multiplication and addition.

    A gradient step has three products of each shape: one forwards, two backwards. WALS by conjugate gradients reads the
    cells twice a step and once at the start; each row goes into the Gramian's basis, as fixed and as a start, and back,
    and then into the other Gramian.
    """
    settings, train = model.config, model.split.train
    pairs, dimension = len(train.interactions.query), settings.model.dimension
    rows = {name: len(train.vocabularies[name]) for name in ("query", "item")}
    if settings.train.method == "wals":
        passes, both = 2 * settings.wals.steps + 1, rows["query"] + rows["item"]
        return passes * 2 * 2 * pairs * dimension + 8.0 * both * dimension**2
    net = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(model.params.query) if leaf.ndim == 2)
    return 6.0 * pairs * (rows["item"] * dimension + net)


def draw(path, found) -> None:
    rows = found["rows"]
    plots.bars(path, rows, ("ndcg@10", "new_ndcg@10", f"new_{FEW}_ndcg@10", "epoch_gflop", "answer_us"))


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(data=configs.Data(name="movielens_100k")),
        seeds=(0, 1, 2),
        columns=(
            "recall@10",
            "ndcg@10",
            "new_ndcg@10",
            f"new_{FEW}_ndcg@10",
            "random_pair_auc",
            "epochs",
            "epoch_s",
            "epoch_gflop",
            "answer_us",
            "stored_us",
            "stored_bytes",
            "parameters_mb",
        ),
        draw=draw,
    )
