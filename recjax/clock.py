"""Where a run's seconds go."""

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import jax


class Clock(dict[str, float]):
    """Seconds by name."""

    @contextmanager
    def time(self, name: str):
        """Adds the seconds that the block takes to `name`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self[name] = self.get(name, 0.0) + time.perf_counter() - begin

    def compile(self, function: Callable, *arguments: Any, donate: tuple[int, ...] = ()) -> Callable:
        """Compiles for these arguments, ahead of the first call, so that a timing is of running alone."""
        with self.time("compile_s"):
            return jax.jit(function, donate_argnums=donate).lower(*arguments).compile()
