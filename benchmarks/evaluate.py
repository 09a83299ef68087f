"""Ranking the whole corpus for every query: recjax beside numpy, and the evaluators of implicit and irspack.

Gowalla, the published split (29,858 queries, 40,981 items), tables of D = 64 after two iterations of WALS. Each has two
threads; they take turns in one process; medians. NDCG@20 of all four must be equal to 1e-6. Then one million queries by
one million items with 20 million known interactions: the memory of judging all of it, and the time of some tiles.

python benchmarks/evaluate.py --data=FOLDER --save=results/benchmarks/evaluate     # FOLDER has gowalla/
"""

import importlib.metadata
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

import command
import contestants
import jax
import jax.numpy as jnp
import machine
import numpy as np
import scipy.sparse
from absl import flags
from implicit.cpu.als import AlternatingLeastSquares
from implicit.evaluation import ranking_metrics_at_k
from irspack import Evaluator

from recjax import configs, datasets, evaluate, fields, reports, retrievers, splits, wals
from recjax.errors import InputError
from recjax.types import Dataset, HeldOut, Interactions, Params

DATA = flags.DEFINE_string("data", "", "The folder that has gowalla/train.txt and gowalla/test.txt.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Timed rankings of each contender.", 1)
TILES = flags.DEFINE_integer("tiles", 8, "Timed tiles of the large corpus, of 512 queries each.", 1)
LARGE = flags.DEFINE_integer("large", 1_000_000, "M and N of the large corpus; 0: none.", 0)
SAVE = flags.DEFINE_string("save", None, "The numbers are written to SAVE.json.")

K, DIMENSION = 20, 64
COLUMNS = ("s", "s_min", "s_max", "to_ours", "ndcg@20")


def gowalla(folder: str) -> HeldOut:
    """The published test part; what is known is the training part."""
    path = contestants.find("gowalla", folder).parent
    settings = configs.Data(name="lightgcn", path=str(path), split="lightgcn")
    return splits.lightgcn(datasets.lightgcn(settings), settings).test


def trained(known: Dataset) -> dict[str, np.ndarray]:
    """Tables that rank better than chance."""
    settings = configs.Wals(unobserved_weight=0.1, regularization=0.01)
    tables = contestants.tables(known, DIMENSION)
    state, data = wals.init(Params(tables, (), ())), wals.prepare(known, settings)
    knobs = fields.knobs(configs.Config(wals=settings))
    run = jax.jit(wals.step(settings))
    for _ in range(2):
        state, _ = run(knobs, jax.random.key(0), state, data)
    return {name: np.asarray(table) for name, table in state.params.tables.items()}


def ours(held: HeldOut, tables: dict[str, Any]) -> Callable[[], float]:
    """The evaluator of a run: seven metrics, of which all but one are not looked at."""
    retriever = retrievers.Retriever(
        lambda params, features: params["query"][features["query"]], lambda params, data: params["item"]
    )
    judgement, params = evaluate.prepare(held), jax.tree.map(jnp.asarray, tables)
    ranker = jax.jit(evaluate.ranker(retriever, configs.Evaluate(k=(K,)), 1)).lower(params, judgement).compile()
    return lambda: float(np.mean(evaluate.rank(ranker, params, judgement).metrics[f"ndcg@{K}"], dtype=np.float64))


def matrices(held: HeldOut, tables: dict[str, np.ndarray]) -> tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix]:
    """What is known, and what is relevant."""
    shape = len(tables["query"]), len(tables["item"])
    parts = held.known.interactions, held.relevant
    return tuple(
        scipy.sparse.csr_matrix((np.ones(len(one.query), np.float32), (one.query, one.item)), shape) for one in parts
    )


def with_numpy(held: HeldOut, tables: dict[str, np.ndarray]) -> Callable[[], float]:
    """Blocks of 512 queries: a product, argpartition, and a sort of the K."""
    known, relevant = matrices(held, tables)
    judged = np.unique(held.relevant.query)
    discount = 1.0 / np.log2(np.arange(K) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])

    def run() -> float:
        total = 0.0
        for first in range(0, len(judged), 512):
            rows = judged[first : first + 512]
            scores = tables["query"][rows] @ tables["item"].T
            scores[known[rows].nonzero()] = -np.inf
            ids = np.argpartition(-scores, K, axis=1)[:, :K]
            order = np.argsort(-np.take_along_axis(scores, ids, 1), axis=1, kind="stable")
            ids = np.take_along_axis(ids, order, 1)
            wanted = relevant[rows]
            hits = np.take_along_axis(wanted.toarray(), ids, 1)
            total += np.sum(hits @ discount / ideal[np.minimum(np.diff(wanted.indptr), K)])
        return total / len(judged)

    return run


def with_implicit(held: HeldOut, tables: dict[str, np.ndarray]) -> Callable[[], float]:
    """Its ranking_metrics_at_k, of its model with our tables."""
    known, relevant = matrices(held, tables)
    model = AlternatingLeastSquares(factors=DIMENSION, num_threads=contestants.THREADS)
    model.user_factors, model.item_factors = tables["query"].copy(), tables["item"].copy()

    def run() -> float:
        found = ranking_metrics_at_k(model, known, relevant, K=K, show_progress=False, num_threads=contestants.THREADS)
        return float(found["ndcg"])

    return run


def with_irspack(held: HeldOut, tables: dict[str, np.ndarray]) -> Callable[[], float]:
    """Its Evaluator, given blocks of scores."""
    known, relevant = matrices(held, tables)
    evaluator = Evaluator(relevant, cutoff=K, masked_interactions=known, n_threads=contestants.THREADS)

    def run() -> float:
        blocks = (
            tables["query"][first : first + 512] @ tables["item"].T for first in range(0, len(tables["query"]), 512)
        )
        return float(evaluator.get_score_from_score_chunks(blocks)["ndcg"])

    return run


def compare() -> dict[str, dict[str, Any]]:
    """A row for each contender."""
    held = gowalla(DATA.value)
    tables = trained(held.known)
    builders = {"recjax": ours, "numpy": with_numpy, "implicit": with_implicit, "irspack": with_irspack}
    contenders = {name: build(held, tables) for name, build in builders.items()}
    found = {name: run() for name, run in contenders.items()}
    for name, value in found.items():
        if abs(value - found["recjax"]) > 1e-6:
            raise InputError(f"NDCG@{K} is {found['recjax']:.8f} with recjax and {value:.8f} with {name}")
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS.value):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    rows: dict[str, dict[str, Any]] = {name: contestants.spread("s", one) for name, one in times.items()}
    for name, row in rows.items():
        row |= {"to_ours": row["s"] / rows["recjax"]["s"], f"ndcg@{K}": found[name], "times": times[name]}
    return rows


def large(size: int) -> dict[str, float]:
    """Some tiles of a corpus of `size` queries and items, and the memory that all of it takes."""
    machine.forget_peak()
    draw, before = np.random.default_rng(0), machine.peak()
    query = np.sort(draw.integers(0, size, 20 * size, dtype=np.int32))
    known = contestants.dataset(query, draw.integers(0, size, 20 * size, dtype=np.int32), size, size)
    ids = np.arange(size, dtype=np.int32)
    relevant = Interactions(ids, draw.integers(0, size, size, dtype=np.int32), np.ones(size, np.float32), None)
    judgement = evaluate.prepare(HeldOut(known, relevant))
    params = {name: jnp.asarray(draw.standard_normal((size, DIMENSION), np.float32)) for name in ("query", "item")}
    tiles = len(judgement.query)
    part = judgement._replace(
        **{name: getattr(judgement, name)[: TILES.value] for name in ("query", "where", "first", "number")},
        exclude=judgement.exclude._replace(start=judgement.exclude.start[: TILES.value]),
    )
    retriever = retrievers.Retriever(
        lambda params, features: params["query"][features["query"]], lambda params, data: params["item"]
    )
    run = jax.jit(evaluate.ranker(retriever, configs.Evaluate(k=(K,)), 1)).lower(params, part).compile()
    begin = time.perf_counter()
    jax.block_until_ready(run(params, part))
    seconds = time.perf_counter() - begin
    # What all tiles would leave behind: lists, metrics and the queries' embeddings.
    rest = (tiles - TILES.value) * evaluate.TILE * (K + DIMENSION + 7) * 4 / 1e9
    queries = TILES.value * evaluate.TILE
    return {
        "queries_per_s": queries / seconds,
        "gflop_per_s": 2 * queries * size * DIMENSION / seconds / 1e9,
        "hours_of_all": size / queries * seconds / 3600,
        "peak_gb": machine.peak() - before + rest,
        "temporary_gb": run.memory_analysis().temp_size_in_bytes / 1e9,
    }


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    versions = {one: importlib.metadata.version(one) for one in ("jax", "numpy", "implicit", "irspack")}
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "environment": {"python": platform.python_version(), **versions, **machine.device()},
        "settings": {"k": K, "dimension": DIMENSION, "rounds": ROUNDS.value, "tiles": TILES.value},
        "rows": compare(),
    }
    print(f"Gowalla\n\n{reports.table(result['rows'], COLUMNS)}", flush=True)
    if LARGE.value:
        row = result["large"] = {f"M = N = {LARGE.value:,}": large(LARGE.value)}
        print(f"\n{reports.table(row, list(next(iter(row.values()))))}")
    command.save(SAVE.value, result)


if __name__ == "__main__":
    command.run(main)
