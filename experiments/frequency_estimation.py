"""Streaming frequency estimation follows a stream whose distribution changes, in less memory with more hash functions.

Source: Yi et al. 2019, section 6.1: 1,000 items, batches of 128 without replacement from q_i ~ i^2, from step 10,000 on
        from q_i ~ (999 - i)^2; gaps begin at 100. Figure 4 is the rate, figure 5 the number of hash functions at equal
        memory. The paper names neither the rates nor that memory. The third panel, the number of buckets, is ours.
Claim:  a higher rate follows the change sooner, and one of 0.1 ends with a larger error than 0.01; at equal memory 4
        hash functions err less than 2, and 2 less than 1; more buckets err less, and one an item errs least.
Run:    python launch.py --config=experiments/frequency_estimation.py --save=results/frequency_estimation
Expect: under a minute on two cores; five seeds, which draw the batches and the ids: random numbers, but for `exact`.
        The error is sum |estimate - B q| / (2 B). `counts` is what was counted since the start, over the steps.
"""

import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from recjax import configs, frequency, plots
from recjax.study import Measurement

ITEMS, BATCH, STEPS, SWITCH, EVERY = 1000, 128, 20_000, 10_000, 500


class Arm(NamedTuple):
    """Settings of an estimate."""

    rate: float = 0.01
    hashes: int = 1
    buckets: int = 5000


ARMS = {
    "rate 0.01": Arm(),  # the one that the panels share
    "rate 0.1": Arm(rate=0.1),
    "rate 0.003": Arm(rate=0.003),
    "2 × 2,500": Arm(hashes=2, buckets=2500),
    "4 × 1,250": Arm(hashes=4, buckets=1250),
    "1 × 1,250": Arm(buckets=1250),
    "1 × 20,000": Arm(buckets=20_000),
    "exact": Arm(buckets=ITEMS),  # its ids are 0 to 999
}
PANELS = {
    "rate": {"0.1": "rate 0.1", "0.01": "rate 0.01", "0.003": "rate 0.003", "counts": "counts"},
    "hash functions × buckets": {"1 × 5,000": "rate 0.01", "2 × 2,500": "2 × 2,500", "4 × 1,250": "4 × 1,250"},
    "buckets": {"1,250": "1 × 1,250", "5,000": "rate 0.01", "20,000": "1 × 20,000", "one an item": "exact"},
}


@jax.jit
def errors(key: jax.Array) -> dict[str, jax.Array]:
    """The error of each arm after every `EVERY` steps."""
    id_key, batch_key = jax.random.split(key)
    number = jnp.arange(ITEMS)
    weight = jnp.stack([number, ITEMS - 1 - number]).astype(jnp.float32) ** 2
    q = weight / jnp.sum(weight, axis=1, keepdims=True)
    strange = jax.lax.bitcast_convert_type(jax.random.bits(id_key, (ITEMS,), jnp.uint32), jnp.int32)
    ids = {name: number if name == "exact" else strange for name in ARMS}

    def phase(step):
        return (step >= SWITCH).astype(jnp.int32)

    def one(carry, step):
        states, counts = carry
        noise = jax.random.gumbel(jax.random.fold_in(batch_key, step), (ITEMS,))
        batch = jax.lax.top_k(jnp.log(q[phase(step)]) + noise, BATCH)[1]  # without replacement
        states = {
            name: frequency.update(states[name], step, ids[name][batch], rate=arm.rate) for name, arm in ARMS.items()
        }
        return (states, counts.at[batch].add(1)), None

    def block(carry, first):
        carry, _ = jax.lax.scan(one, carry, first + jnp.arange(EVERY))
        states, counts = carry
        found = {name: frequency.probability(states[name], ids[name]) for name in ARMS}
        found |= {"counts": counts / (first + EVERY)}
        wanted = BATCH * q[phase(first)]
        return carry, {name: jnp.sum(jnp.abs(one - wanted)) / (2 * BATCH) for name, one in found.items()}

    states = {name: frequency.init(arm.hashes, arm.buckets, gap=100.0) for name, arm in ARMS.items()}
    return jax.lax.scan(block, (states, jnp.zeros(ITEMS, jnp.int32)), jnp.arange(0, STEPS, EVERY))[1]


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    """The errors of one stream, by step."""
    found = jax.device_get(errors(jax.random.key(config.seed)))
    steps = range(EVERY, STEPS + 1, EVERY)
    return {
        name: {f"error@{step}": float(one) for step, one in zip(steps, found[name], strict=True)}
        for name in (*ARMS, "counts")
    }


def draw(path: pathlib.Path, found: dict) -> None:
    """The error by step, a panel a setting, with bands of one standard deviation over seeds."""
    rows = found["rows"]
    figure, panels = plt.subplots(1, len(PANELS), figsize=(11, 3.2), sharey=True, layout="constrained")
    for panel, (title, names) in zip(panels, PANELS.items(), strict=True):
        for color, (label, name) in enumerate(names.items()):
            steps = [int(metric.removeprefix("error@")) for metric in rows[name]]
            mean, sd = (np.array([found[one] for found in rows[name].values()]) for one in ("mean", "sd"))
            panel.fill_between(steps, mean - sd, mean + sd, color=plots.PALETTE(color), alpha=0.25, linewidth=0)
            panel.plot(steps, mean, color=plots.PALETTE(color), label=label)
        panel.axvline(SWITCH, color="0.7", zorder=0)
        panel.set(title=title, xlabel="step")
        panel.legend(frameon=False)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("error")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(),
        seeds=(0, 1, 2, 3, 4),
        columns=("error@1000", "error@10000", "error@11000", "error@20000"),
        draw=draw,
    )
