"""A trace of a few blocks of steps, for TensorBoard or Perfetto."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator

import jax

BLOCKS = 3  # the first is left out: it is not like the others


@contextlib.contextmanager
def traced(folder: pathlib.Path | None, echo: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Gives what to call before each block; the second to the fourth are traced into `folder`, if there is one."""
    begun, tracing = 0, False

    def block() -> None:
        nonlocal begun, tracing
        begun += 1
        if begun == 2 and folder:
            jax.profiler.start_trace(folder)
            tracing = True
        elif tracing and begun == 2 + BLOCKS:
            jax.profiler.stop_trace()
            tracing = False

    try:
        yield block
    finally:
        if tracing:
            jax.profiler.stop_trace()
    if folder:
        echo(f"trace in {folder}" if begun > 1 else "nothing was traced: no second block; lower --config.train.block")
