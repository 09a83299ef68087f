"""How far estimates of Gramians are from the truth while a two-tower model trains: bias and variance.

Source: Krichene et al. 2019, the figures of the Gramians' error, and its bias and variance.
Claim:  at the same batch, SOGram's error is below that of batch sampling with α = .3 and α = .1, for the Gramian of the
        queries and for that of the items. Less α brings less variance and more bias: the estimate lags behind.
Run:    python launch.py --config=experiments/gramian.py --save=results/gramian
Expect: three minutes on two cores, three seeds. Each seed is one trajectory of the parameters, along which every
        estimate is kept in eight independent draws, by other batches than the training's.
"""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array

from recjax import batches, configs, embed, gramians, penalties, plots, preparation, train
from recjax.study import Measurement
from recjax.types import Batch, Data, Model, Params

DRAWS, TILE = 8, 4096
EVERY, CHECKS = 50, 20  # steps between measurements, and how many there are
SETTLED = range(500, 1001, 50)  # what the means are of: SOGram begins at 0, and SAGram with an empty cache
SIDES, PARTS = ("query", "item"), ("error", "bias", "deviation")


def estimates(share: float) -> dict[str, gramians.Estimate]:
    """By name. `share` is a batch's of all examples."""
    return {
        "batch": gramians.batch(),
        **{f"SOGram, α = {alpha:g}": gramians.running(alpha) for alpha in (0.3, 0.1, 0.03, 0.01)},
        "SAGram, β = 1": gramians.cached(1.0),
        "SAGram, β = B / E": gramians.cached(share),
    }


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    """Means over the measurements by estimate (see `errors`), and the error at each of them."""
    _, _, split, start = preparation.prepare(config)
    model, data, state = train.parts(config, split.train).model, start.data, start.state
    known = estimates(config.train.batch / len(split.train.interactions.query))
    sides = penalties.gravity(1.0, penalties.Settings("examples", "batch")).init(data, None)
    size = config.model.dimension
    kept = {side: {one: of.init(len(kept.share), size) for one, of in known.items()} for side, kept in sides.items()}
    kept = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (DRAWS, *leaf.shape)), kept)
    other = jax.random.fold_in(start.key, 2**31 - 1)  # than the keys of the steps

    @jax.jit
    def advance(state, kept, sides, data):
        """Some steps of the training; after each one every draw sees a batch of its own at the new parameters."""

        def step(carried, _):
            state, kept, _ = carried
            state, _ = start.advance(start.knobs, start.key, state, data)
            keys = jax.random.split(jax.random.fold_in(other, state.step), DRAWS)
            look = functools.partial(observe, config, model, known)
            found, kept = jax.vmap(look, in_axes=(0, None, 0, None, None))(keys, state.params, kept, sides, data)
            return (state, kept, found), None

        found = {side: dict.fromkeys(known, jnp.zeros((DRAWS, size, size))) for side in SIDES}
        return jax.lax.scan(step, (state, kept, found), length=EVERY)[0]

    truth = jax.jit(functools.partial(exact, config, model))
    rows: dict[str, dict[str, float]] = {one: {} for one in known}
    for check in range(CHECKS):
        state, kept, found = advance(state, kept, sides, data)
        wanted = truth(state.params, data)
        for side, one in itertools.product(SIDES, known):
            parts = errors(np.asarray(found[side][one]), np.asarray(wanted[side]))
            rows[one] |= {f"{side} {part}@{(check + 1) * EVERY}": value for part, value in parts.items()}
    for side, part, found in itertools.product(SIDES, PARTS, rows.values()):
        found[f"{side} {part}"] = float(np.mean([found[f"{side} {part}@{step}"] for step in SETTLED]))
    return rows


def both(model: Model, params: Params, batch: Batch, data: Data) -> dict[str, Array]:
    """Embeddings of the examples' queries and items."""
    items = jax.tree.map(lambda leaf: leaf[batch.positive[:, 0]], data.corpus)
    queries = embed.queries(None, model, params, batch.features)
    return {"query": queries, "item": embed.items(None, model, params, items)}


def observe(config, model, known, key, params, kept, sides, data):
    """One more batch for each estimate: {side: {estimate: Gramian}}, and their new states."""
    batch = batches.draw(key, data, config.train.batch, positives=1, length=config.model.history)
    embeddings, ids = both(model, params, batch, data), {"query": batch.features["query"], "item": batch.positive[:, 0]}
    found: dict[str, dict[str, Array]] = {side: {} for side in SIDES}
    new: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
    for side, (one, estimate) in itertools.product(SIDES, known.items()):
        weight, share = sides[side].weight[ids[side]] / config.train.batch, sides[side].share[ids[side]]
        seen = gramians.Seen(embeddings[side], ids[side], weight, share)
        found[side][one], new[side][one] = estimate.update(kept[side][one], seen)
    return found, new


def exact(config: configs.Config, model: Model, params: Params, data: Data) -> dict[str, Array]:
    """The Gramians over all training examples, a tile at a time."""
    count = len(data.interactions.query)

    def add(total, index):
        position = index * TILE + jnp.arange(TILE)
        weight = jnp.where(position < count, 1.0 / count, 0.0)
        position = jnp.minimum(position, count - 1)
        query, item, _, now = jax.tree.map(lambda part: part[position], data.interactions)
        age = (data.span - now) / jnp.maximum(data.span, 1)
        features = batches.features(data, query, position, config.model.history, now=now, age=age)
        batch = Batch(features, item[:, None], jnp.ones((TILE, 1)), jnp.ones(TILE))
        embeddings = both(model, params, batch, data)
        return {side: total[side] + gramians.moment(embeddings[side], weight) for side in SIDES}, None

    zeros = dict.fromkeys(SIDES, jnp.zeros((config.model.dimension,) * 2))
    return jax.lax.scan(add, zeros, jnp.arange(-(-count // TILE)))[0]


def errors(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of draws [R D D], in the Frobenius norm over the truth's: error² = bias² + deviation² in expectation.

    The bias is that of the draws' mean; what its own variance, deviation² / R, adds to its square is taken off.
    """
    norm = np.sum(truth**2)
    variance = np.sum(np.var(found, axis=0, ddof=1)) / norm
    bias = np.sum((np.mean(found, axis=0) - truth) ** 2) / norm - variance / len(found)
    error = np.mean(np.sum((found - truth) ** 2, axis=(1, 2))) / norm
    return dict(zip(PARTS, np.sqrt([error, max(0.0, bias), variance]).tolist(), strict=True))


def draw(path, found) -> None:
    """The error by step, and bias against deviation, of the queries' Gramian and of the items'."""
    rows = found["rows"]
    figure, panels = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for (curve, plane), side in zip(panels, SIDES, strict=True):
        for number, (one, row) in enumerate(rows.items()):
            steps = [int(name.split("@")[1]) for name in row if name.startswith(f"{side} error@")]
            mean, sd = (np.array([row[f"{side} error@{step}"][what] for step in steps]) for what in ("mean", "sd"))
            color = plots.PALETTE(number)
            curve.plot(steps, mean, color=color, label=one)
            curve.fill_between(steps, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
            plane.plot(row[f"{side} bias"]["mean"], row[f"{side} deviation"]["mean"], "o", color=color, label=one)
        curve.set(xlabel="step", ylabel="relative error", yscale="log", title=f"Gramian of the {side} side")
        plane.set(xlabel="bias", ylabel="standard deviation", title=f"means of steps {SETTLED[0]} to {SETTLED[-1]}")
        plane.set(xlim=(0, None), ylim=(0, None))
    panels[0][1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(
            model=configs.Model(name="two_tower", dimension=32, history=20, hidden=(64,)),
            sampler=configs.Sampler(name="in_batch"),
            penalties=configs.Penalties(gravity=1.0),
            gravity=configs.Gravity(pairs="examples", estimate="sogram"),
            train=configs.Train(batch=128),
        ),
        seeds=(0, 1, 2),
        columns=tuple(f"{side} {part}" for side in SIDES for part in PARTS),
        draw=draw,
    )
