"""The optimizers that a config can name: those of optax, and one that keeps one number a row."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array


@functools.cache
def members() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """Those below, and those of optax that need a learning rate, gradients and parameters, and nothing else.

    >>> {"adam", "adagrad", "sgd", "rowwise_adagrad"} <= set(members()), "lbfgs" in members()
    (True, False)
    """
    found = {name: value for name, value in vars(optax).items() if _is_optimizer(name, value)}
    return found | {"rowwise_adagrad": rowwise_adagrad}


def rowwise_adagrad(
    learning_rate: float | Array, initial: float = 0.1, epsilon: float = 1e-7
) -> optax.GradientTransformation:
    """Adagrad with one sum of squares a row, 1 / D of Adagrad's memory: row -= rate gradient / sqrt(sum + epsilon).

    The sum is of each step's mean squared gradient of the row; it begins with `initial`. Of a matrix of a net a row is
    an input's weights, and a vector is treated elementwise. Source: Gupta et al. 2014; Naumov et al. 2019 (DLRM).
    """

    def square(gradient: Array) -> Array:
        return jnp.mean(gradient**2, axis=-1, keepdims=True) if gradient.ndim > 1 else gradient**2

    def init(params: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.full_like(jax.eval_shape(square, leaf), initial), params)

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        state = jax.tree.map(lambda total, leaf: total + square(leaf), state, gradient)
        scale = jax.tree.map(lambda total: learning_rate * jax.lax.rsqrt(total + epsilon), state)
        return jax.tree.map(lambda rate, leaf: -rate * leaf, scale, gradient), state

    return optax.GradientTransformation(init, update)


def decayed(rate: float | Array, decay: str, step: Array, total: int) -> float | Array:
    """The learning rate of a step, counted from 0, of a run of `total` steps.

    >>> [round(float(decayed(jnp.float32(1.0), name, jnp.array(3), 4)), 4) for name in ("none", "linear", "cosine")]
    [1.0, 0.25, 0.1464]
    """
    if decay == "none":
        return rate
    left = jnp.maximum(1.0 - step / total, 0.0)
    return rate * (left if decay == "linear" else 0.5 - 0.5 * jnp.cos(jnp.pi * left))


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
