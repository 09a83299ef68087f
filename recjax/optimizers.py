"""The optimizers that a config can name."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax


@functools.cache
def members() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """The optimizers of optax that need a learning rate, gradients and parameters, and nothing else.

    >>> {"adam", "adagrad", "sgd"} <= set(members()), "lbfgs" in members()
    (True, False)
    """
    return {name: value for name, value in vars(optax).items() if _is_optimizer(name, value)}


def _is_optimizer(name: str, build: Any) -> bool:
    if not inspect.isfunction(build) or name.startswith(("_", "scale_by")):
        return False
    if next(iter(inspect.signature(build).parameters), "") != "learning_rate":
        return False

    def step(params):
        optimizer = build(0.1)
        return optimizer.update(params, optimizer.init(params), params)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            jax.eval_shape(step, {"table": jnp.zeros((2, 2))})
    except (TypeError, Warning):  # it wants more: the value of the loss, say, or a key
        return False
    return True
