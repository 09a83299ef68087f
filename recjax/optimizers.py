"""The optimizers that a config can name."""

import inspect
from collections.abc import Callable

import optax


def members() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """The members of optax whose first argument is a learning rate.

    >>> {"adam", "adagrad", "sgd"} <= set(members())
    True
    """
    return {
        name: value
        for name, value in vars(optax).items()
        if inspect.isfunction(value) and next(iter(inspect.signature(value).parameters), "") == "learning_rate"
    }
