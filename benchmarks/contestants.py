"""The same matrix, factorized by recjax and by implicit (C++), behind one interface; and the data.

Both minimise, with a confidence c of each interaction and λ,

    sum_obs c (1 - ŷ)² + sum_unobserved ŷ² + λ (sum_i |query_i|² + sum_j |item_j|²)
"""

import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array

from recjax import configs, fields, interactions, linalg, ragged, wals
from recjax.datasets import files, lists
from recjax.errors import InputError
from recjax.least_squares import Coefficients
from recjax.types import Dataset, Interactions, Params

try:
    import threadpoolctl
    from implicit.cpu import _als
except ImportError:
    _als = None

Tables = Mapping[str, Any]  # query [M D] and item [N D]

THREADS = len(os.sched_getaffinity(0))  # XLA takes all that the process may use
STEPS = {"recjax": configs.Wals().steps, "implicit": 3}  # of conjugate gradients, by default
# Confidence c and λ with the best NDCG@20 on validation at D = 64: --grid.
CHOSEN = {"ml-1m": (2.0, 30.0), "gowalla": (60.0, 10.0)}
PAUSE = 0.05  # seconds before each timed iteration: the threads of the one before fall asleep
METHODS = ("recjax cg", "recjax cholesky", "recjax block", "recjax/bfloat16 cg", "implicit cg", "implicit cholesky")
FILES = {
    "ml-1m": ("ratings.dat", "unpack https://files.grouplens.org/datasets/movielens/ml-1m.zip"),
    "gowalla": ("train.txt", "lines `query item item …`, as published with LightGCN (He et al. 2020)"),
}


class Recjax:
    """`iterate` does one iteration, both half-sweeps, and waits for it."""

    def __init__(self, dataset: Dataset, solver: str, regularization: float, start: Tables, all_pairs: bool):
        numbers = coefficients(regularization)._replace(all_pairs=all_pairs)._asdict()
        settings = configs.Wals(solver=solver, **numbers)
        self._data = wals.prepare(dataset, settings)
        self._rest = fields.knobs(configs.Config(wals=settings)), jax.random.key(0)
        self.padding = ragged.padding(self._data)
        self.restart(start)
        begin = time.perf_counter()
        step = jax.jit(wals.step(settings), donate_argnums=2)
        self._program = step.lower(*self._rest, self._state, self._data).compile()
        self.compile_s = time.perf_counter() - begin

    def restart(self, start: Tables, regularization: float | None = None) -> None:
        """Goes back to the start; another regularization needs no other program."""
        if regularization is not None:
            knobs, key = self._rest
            self._rest = {**knobs, "wals.regularization": regularization}, key
        # The step takes the tables' memory: it gets a copy.
        tables = {name: jnp.array(table, copy=True) for name, table in start.items()}
        self._state = wals.init(Params(tables, (), ()))

    def iterate(self) -> None:
        self._state, _ = self._program(*self._rest, self._state, self._data)
        jax.block_until_ready(self._state)

    def tables(self) -> Tables:
        return self._state.params.tables

    def read(self) -> Callable[[], Array]:
        """What reads the rows of all lists, padding included, once in each half-sweep, and does nothing with them."""
        table = jnp.concatenate(list(self.tables().values()))
        table = jnp.resize(table, (len(self._data.row), table.shape[1]))  # the slots: where an iteration reads

        def total(table, data):
            def one(ids):
                return jnp.sum(linalg.take(table, ids).astype(jnp.float32))

            return sum(jnp.sum(jax.lax.map(one, bucket.ids)) for bucket in data.buckets)

        program = jax.jit(total).lower(table, self._data).compile()
        return lambda: jax.block_until_ready(program(table, self._data))


class Implicit:
    """`iterate` calls the two functions that an iteration of AlternatingLeastSquares.fit consists of."""

    padding = compile_s = None

    def __init__(self, dataset: Dataset, solver: str, regularization: float, start: Tables):
        query, item, weight, _ = dataset.interactions
        self._sides = scipy.sparse.csr_matrix((weight, (query, item)), [len(start["query"]), len(start["item"])])
        self._sides = self._sides, self._sides.T.tocsr()
        self._solver, self._regularization = solver, regularization
        self.restart(start)

    def restart(self, start: Tables) -> None:
        self._tables = {name: np.array(table) for name, table in start.items()}

    def iterate(self) -> None:
        queries, items = self._tables["query"], self._tables["item"]
        for side, rows, fixed in zip(self._sides, (queries, items), (items, queries), strict=True):
            if self._solver == "cg":
                _als.least_squares_cg(
                    side, rows, fixed, self._regularization, num_threads=THREADS, cg_steps=STEPS["implicit"]
                )
            else:
                _als.least_squares(side, rows, fixed, self._regularization, num_threads=THREADS)

    def tables(self) -> Tables:
        # A copy: on a CPU an array of JAX may be the memory that the next iteration writes to.
        return {name: jnp.array(table, copy=True) for name, table in self._tables.items()}


def check() -> tuple[str, ...]:
    """The methods that can be run here: implicit takes part on a CPU alone, with one BLAS thread, as it advises.

    Raises:
        InputError: it is not installed.
    """
    if jax.default_backend() != "cpu":
        return tuple(one for one in METHODS if one.startswith("recjax"))
    if _als is None:
        raise InputError("implicit is not installed; type pip install -e '.[benchmark]'")
    threadpoolctl.threadpool_limits(1, "blas")
    return METHODS


def build(
    method: str, dataset: Dataset, regularization: float, start: Tables, all_pairs: bool = False
) -> Recjax | Implicit:
    """One contestant, ready to iterate.

    Args:
        all_pairs: recjax only: the unobserved weight holds for every pair, so that a pair may occur twice.
    """
    library, solver = method.split()
    if library == "implicit":
        return Implicit(dataset, solver, regularization, start)
    if library == "recjax/bfloat16":
        start = {name: table.astype(jnp.bfloat16) for name, table in start.items()}
    return Recjax(dataset, solver, regularization, start, all_pairs)


def seconds(one: Recjax | Implicit) -> float:
    """The seconds of one more iteration."""
    return timed(one.iterate)


def timed(call: Callable[[], Any]) -> float:
    """The seconds of a call."""
    time.sleep(PAUSE)
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Median, minimum and maximum."""
    return {name: float(np.median(values)), f"{name}_min": min(values), f"{name}_max": max(values)}


def coefficients(regularization: float) -> Coefficients:
    return Coefficients(1.0, regularization, 0.0, all_pairs=False)


def tables(dataset: Dataset, dimension: int) -> Tables:
    """Where every method starts: normal, of norm about .1."""
    draw, scale = np.random.default_rng(0), np.float32(0.1 / np.sqrt(dimension))
    return {
        name: draw.standard_normal((len(dataset.vocabularies[name]), dimension), np.float32) * scale
        for name in ("query", "item")
    }


def gflop(method: str, dataset: Dataset, dimension: int) -> dict[str, float]:
    """Counted work of an iteration: `necessary`, and `done` where recjax does more of it.

    Of an interaction in each half-sweep, where one pass over its row (a score, or its share of a sum) is 2 D:
        cg:       2 D (2 steps + 1); residual: 2 passes, each step 2, the last step without a new residual 1
        cholesky: 2 D² + 2 D; its share of the matrix, which is symmetric but counted whole, and of the right side
        block:    2 D b + 6 D; matrices of b columns, scores at the start, and right side and scores of each block
    Of a row with interactions, where applying a [D D] matrix, or adding to one, is 2 D²:
        cg:       2 D² (steps + 2); the Gramian is applied steps + 1 times, and the new row added to the other one
        cholesky: D³ / 3 + 4 D²; factorization, two triangular systems (2 D²), and the row's share of the Gramian
        block:    D b² / 3 + 2 D b + 4 D²
    recjax applies no Gramian, but turns each row into its basis, as fixed and as a start, and back: 8 D² in all, 6 D²
    with `cholesky`, which needs no start. It eliminates with 2 D³ instead of D³ / 3 + 2 D², and 2 D b² instead of
    D b² / 3 + 2 D b. A row of n < D interactions costs its `cholesky` 2 n² D + 2 n³ + 4 n D beside the 6 D². Padding is
    not counted, and neither is what the objective costs that recjax computes on its way.
    """
    (who, solver), size = method.replace("/bfloat16", "").split(), dimension
    ours, block, steps = who == "recjax", min(configs.Wals().block, size), STEPS[who]
    counts = np.concatenate([np.unique(one, return_counts=True)[1] for one in dataset.interactions[:2]])
    entries, rows = counts.sum(), len(counts)
    entry = {"cg": 2 * size * (2 * steps + 1), "cholesky": 2 * size**2 + 2 * size, "block": 2 * size * block + 6 * size}
    if ours:
        share = {"cg": 8 * size**2, "cholesky": 6 * size**2, "block": 8 * size**2}
    else:
        share = {"cg": 2 * size**2 * (steps + 2), "cholesky": 2 * size**2}
    width = {"cg": 0, "cholesky": size, "block": block}[solver]
    necessary = size * width**2 / 3 + 2 * size * width
    per_row = counts * entry[solver] + (2 * size * width**2 if ours else necessary)
    if ours and solver == "cholesky":
        few = 2 * counts**2 * size + 2 * counts**3 + 4 * counts * size
        per_row = np.where(counts < size, few, per_row)
    return {
        "necessary": float(entries * entry[solver] + rows * (share[solver] + necessary)) / 1e9,
        "done": float(per_row.sum() + rows * share[solver]) / 1e9,
    }


def find(name: str, folder: str) -> pathlib.Path:
    """The file of a data set.

    Raises:
        InputError: no folder, or the file is not in it.
    """
    file, source = FILES[name]
    path = pathlib.Path(folder) / name / file
    if not folder or not path.is_file():
        raise InputError(f"--data={folder} has no {name}/{file}; wanted the folder that does ({source}): --data=FOLDER")
    return path


def read(name: str, folder: str) -> Dataset:
    """Every rating of ML-1M, or every line of Gowalla's train.txt, as positives without repeats.

    Raises:
        InputError: no such file, or a line of it is malformed.
    """
    path = find(name, folder)
    if name == "ml-1m":
        query, item = files.ratings(path, b"::").T[:2]
    else:
        query, item, _ = lists.pairs(path)
    query, item = (interactions.encode(part)[0] for part in (query, item))
    return dataset(*interactions.arrange(query, item, np.ones(len(query), np.float32), None, repeats=False)[:2])


def dataset(query: np.ndarray, item: np.ndarray, queries: int = 0, items: int = 0) -> Dataset:
    """A data set out of pairs in the order of the queries; without a number, as many as occur."""
    size = {"query": queries or int(query.max()) + 1, "item": items or int(item.max()) + 1}
    ids = {name: np.arange(count, dtype=np.int32) for name, count in size.items()}
    met = Interactions(query, item, np.ones(len(query), np.float32), None)
    return Dataset(met, {"query": ids["query"]}, {"item": ids["item"]}, ids, None, False)


def weigh(dataset: Dataset, confidence: float) -> Dataset:
    """The data set with one weight for every interaction."""
    met = dataset.interactions
    return dataset._replace(interactions=met._replace(weight=np.full(len(met.query), confidence, np.float32)))


def synthetic(queries: int = 1_000_000, items: int = 500_000, entries: int = 20_000_000) -> Dataset:
    """A large matrix: lists of geometric length, at least 1; popularity ~ 1 / (rank + 20), ranks in a random order.

    The 20 keeps the most popular item to about 9 % of the queries. A query may meet an item twice.
    """
    draw = np.random.default_rng(0)
    share = draw.standard_exponential(queries)  # a Poisson of an exponential is geometric
    length = 1 + draw.multinomial(entries - queries, share / share.sum())
    upto = np.cumsum(1.0 / (np.arange(items) + 20.0))
    rank = np.searchsorted(upto, draw.random(entries) * upto[-1], side="right")
    item = draw.permutation(items).astype(np.int32)[np.minimum(rank, items - 1)]
    return dataset(np.repeat(np.arange(queries, dtype=np.int32), length), item, queries, items)
