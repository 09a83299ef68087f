"""The machine that a benchmark runs on: what it is, its limits, and the peak memory of this process."""

import contextlib
import os
import pathlib
import platform
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def product(size: int = 2048) -> Callable[[], jax.Array]:
    """A product of two square float32 matrices, 2 size³ flops, compiled."""
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((size, size), np.float32))
    with jax.default_matmul_precision("highest"):
        program = jax.jit(jnp.matmul).lower(matrix, matrix).compile()
    return lambda: program(matrix, matrix)


def gemm(size: int = 2048) -> float:
    """GFLOP/s of `product`."""
    return 2 * size**3 / _seconds(product(size)) / 1e9


def copy(size: int = 2**26) -> float:
    """GB/s, read and written, of adding one array of 256 MB to another in place."""
    one, two = jnp.ones(size, jnp.float32), jnp.zeros(size, jnp.float32)
    add = jax.jit(lambda one, two: two + one, donate_argnums=1).lower(one, two).compile()
    held = [two]
    del two

    def run() -> jax.Array:
        held[0] = add(one, held[0])
        return held[0]

    return 3 * 4 * size / _seconds(run) / 1e9


def device() -> dict[str, Any]:
    return {"device": jax.devices()[0].device_kind, "processor": _processor(), "cpus": len(os.sched_getaffinity(0))}


def peak() -> float:
    """Peak resident memory in GB. On Linux getrusage's begins with that of the parent before this program ran."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def forget_peak() -> None:
    """Lets the peak begin anew, at what is resident now; where the system does not allow it, nothing happens."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def _seconds(run: Callable[[], jax.Array]) -> float:
    """The median of nine runs after a first."""
    seconds = []
    for _ in range(10):
        begin = time.perf_counter()
        run().block_until_ready()
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds[1:]))


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
