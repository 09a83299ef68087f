"""The same training step by recjax and by PyTorch, behind one interface: matrix factorization, sampled softmax.

A step draws B positives and C shared negatives uniformly, masks accidental hits, and moves the rows of two tables.
"""

import time
from collections.abc import Callable

import jax
import numpy as np

from recjax import batches, configs, embed, fields, train
from recjax.types import Dataset, Interactions

try:
    import torch
except ImportError:
    torch = None

BATCH, NEGATIVES, DIMENSION = 1024, 2048, 64
STEPS = 25  # a dispatch
INTERACTIONS = 500_000
RATE = 0.05
# By name: optimizer, and how tables are updated ("" is PyTorch's sparse gradient); numbers of its state a row.
CONTENDERS = {
    "recjax rows adagrad": ("adagrad", "rows", DIMENSION),
    "recjax rows rowwise_adagrad": ("rowwise_adagrad", "rows", 1),
    "recjax rows adam": ("adam", "rows", 2 * DIMENSION),
    "recjax dense adagrad": ("adagrad", "dense", DIMENSION),
    "recjax dense adam": ("adam", "dense", 2 * DIMENSION),
    "recjax auto adagrad": ("adagrad", "auto", DIMENSION),
    "recjax auto adam": ("adam", "auto", 2 * DIMENSION),
    "torch adagrad": ("Adagrad", "", DIMENSION),
    "torch adam": ("SparseAdam", "", 2 * DIMENSION),
}


def dataset(size: int) -> Dataset:
    """`size` queries and as many items, of which some have met at random."""
    draw = np.random.default_rng(0)
    query, item = np.sort(draw.integers(0, size, INTERACTIONS)), draw.integers(0, size, INTERACTIONS)
    ids = {name: np.arange(size, dtype=np.int32) for name in ("query", "item")}
    met = Interactions(query.astype(np.int32), item.astype(np.int32), np.ones(INTERACTIONS, np.float32), None)
    return Dataset(met, {"query": ids["query"]}, {"item": ids["item"]}, ids, None, True)


def recjax(name: str, size: int) -> Callable[[], float]:
    """Steps of matrix factorization."""
    optimizer, update, _ = CONTENDERS[name]
    config = configs.Config(
        model=configs.Model(name="mf", dimension=DIMENSION, update=update),
        sampler=configs.Sampler(name="uniform", negatives=NEGATIVES),
        optimizer=configs.Optimizer(name=optimizer, learning_rate=RATE, lazy=optimizer == "adam" and update != "dense"),
        train=configs.Train(batch=BATCH),
    )
    return advancing(config, dataset(size))


def advancing(config: configs.Config, made: Dataset) -> Callable[[], float]:
    """A function that takes STEPS steps of a config and gives the last loss."""
    parts, knobs, data = train.parts(config, made), fields.knobs(config), batches.prepare(made)
    key = jax.random.key(0)
    start = jax.jit(lambda key: embed.init(key, parts.model))
    held = [train.init(start(key), parts, knobs, data)]
    run = jax.jit(train.block(train.step(config, parts), STEPS), donate_argnums=2)
    program = run.lower(knobs, key, held[0], data).compile()

    def steps() -> float:
        held[0], metrics = program(knobs, key, held[0], data)
        return float(metrics["loss"][-1])

    return steps


def pytorch(name: str, size: int) -> Callable[[], float]:
    """The same by sparse embeddings."""
    torch.manual_seed(0)
    tables = [torch.nn.Embedding(size, DIMENSION, sparse=True) for _ in range(2)]
    for table in tables:
        torch.nn.init.normal_(table.weight, std=0.1 / DIMENSION**0.5)
    build = getattr(torch.optim, CONTENDERS[name][0])
    optimizer = build([table.weight for table in tables], lr=RATE)
    query, item = (torch.from_numpy(part.astype(np.int64)) for part in dataset(size).interactions[:2])

    def step() -> torch.Tensor:
        index = torch.randint(0, INTERACTIONS, (BATCH,))
        negative = torch.randint(0, size, (NEGATIVES,))
        queries, own = tables[0](query[index]), tables[1](torch.cat([item[index], negative]))
        logits = queries @ own[BATCH:].T - float(np.log(NEGATIVES / size))
        logits = logits.masked_fill(negative[None] == item[index][:, None], -torch.inf)
        positive = (queries * own[:BATCH]).sum(-1, keepdim=True)
        every = torch.cat([positive, logits], dim=1)
        loss = torch.nn.functional.cross_entropy(every, torch.zeros(BATCH, dtype=torch.int64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def steps() -> float:
        for _ in range(STEPS):
            loss = step()
        return loss.item()

    return steps


def build(name: str, size: int) -> Callable[[], float]:
    steps = (pytorch if name.startswith("torch") else recjax)(name, size)
    steps()
    return steps


def milliseconds(steps: Callable[[], float]) -> float:
    """Of one step, from one dispatch."""
    begin = time.perf_counter()
    steps()
    return 1e3 * (time.perf_counter() - begin) / STEPS
