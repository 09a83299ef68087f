"""A process of its own, for `wals.py`: what it measured, and its peak memory, as a line of JSON.

python benchmarks/alone.py memory INTERACTIONS.npz METHOD            # two iterations; METHOD "": none
python benchmarks/alone.py large FOLDER METHOD QUERIES ITEMS INTERACTIONS   # a synthetic matrix, and FOLDER/ml-1m
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import contestants
import jax
import jax.numpy as jnp
import machine
import numpy as np

from recjax import reports
from recjax.types import Dataset

DIMENSION = 64
REPEATS = 5


def memory(path: str, method: str) -> dict[str, Any]:
    """Two iterations of one method, or none."""
    contestants.check()
    with np.load(path) as arrays:
        dataset = contestants.weigh(contestants.dataset(arrays["query"], arrays["item"]), 10.0)
    if method:
        one = contestants.build(method, dataset, 10.0, contestants.tables(dataset, DIMENSION))
        one.iterate()
        one.iterate()
    return {}


def large(folder: str, method: str, *size: str) -> dict[str, Any]:
    """A large synthetic matrix by one method, and how much longer an interaction takes than one of ML-1M."""
    contestants.check()
    small = _measure(lambda: contestants.read("ml-1m", folder), method)
    found = _measure(lambda: contestants.synthetic(*map(int, size)), method)
    return {**found, "to_ml-1m": found["ns_an_interaction"] / small["ns_an_interaction"], "ml-1m": small}


def _measure(make: Callable[[], Dataset], method: str) -> dict[str, Any]:
    one, found = _prepare(make, method)  # the host's copies are gone when it returns
    one.iterate()
    seconds = [contestants.seconds(one) for _ in range(REPEATS)]
    if isinstance(one, contestants.Recjax):
        read = one.read()
        found |= contestants.spread("rows_s", [contestants.timed(read) for _ in range(1 + REPEATS)][1:])
    return {
        **contestants.spread("s", seconds),
        "ns_an_interaction": 1e9 * float(np.median(seconds)) / found["interactions"],
        **found,
        "finite": all(bool(jnp.all(jnp.isfinite(table))) for table in one.tables().values()),
        "seconds": seconds,
    }


def _prepare(
    make: Callable[[], Dataset], method: str
) -> tuple[contestants.Recjax | contestants.Implicit, dict[str, Any]]:
    confidence, regularization = contestants.CHOSEN["ml-1m"]
    begin = time.perf_counter()
    dataset = contestants.weigh(make(), confidence)
    made = time.perf_counter()
    # Over all pairs: in the synthetic matrix a query may meet an item twice.
    start = contestants.tables(dataset, DIMENSION)
    one = contestants.build(method, dataset, regularization, start, all_pairs=True)
    packed = time.perf_counter() - made - (one.compile_s or 0.0)
    found = {"interactions": len(dataset.interactions.query), "padding": one.padding, "compile_s": one.compile_s}
    found |= {"read_s": made - begin, "prepare_s": packed}
    print(", ".join(f"{name} {reports.number(value)}" for name, value in found.items()), file=sys.stderr)
    return one, found


if __name__ == "__main__":
    found = {"memory": memory, "large": large}[sys.argv[1]](*sys.argv[2:])
    statistics = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        found["device_peak_gb"] = statistics["peak_bytes_in_use"] / 1e9
    print(json.dumps({**found, "peak_gb": machine.peak()}))
