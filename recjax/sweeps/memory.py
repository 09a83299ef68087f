"""What a program's trials take, in bytes, against what there is."""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from recjax import configs, embed, fields, models, optimizers, rows
from recjax.errors import InputError
from recjax.types import Dataset

SHARE = 0.8  # of the memory of a device, or of the machine where the device does not tell


class Need(NamedTuple):
    """Bytes."""

    data: int  # of the step, and of what is judged: once
    state: int  # a trial
    best: int  # a trial: the copy of the best parameters
    temporary: int  # while a block runs, or an evaluation: whichever takes more

    def together(self, trials: int) -> int:
        """Of so many trials side by side, and one more state while they are put together.

        Of one after another: also the best parameters of the one before, which is still judged.
        """
        one = self.state if trials > 1 else self.best
        return self.data + one + trials * (self.state + self.best + self.temporary)

    def most(self, budget: int) -> int:
        """How many trials fit side by side.

        >>> [Need(data=10, state=4, best=2, temporary=1).most(budget) for budget in (35, 28, 27, 19, 18)]
        [3, 2, 1, 1, 0]
        """
        if self.together(2) <= budget:
            return (budget - self.data - self.state) // (self.state + self.best + self.temporary)
        return int(self.together(1) <= budget)


def budget(gigabytes: float) -> int:
    """Bytes that a program may take: as given, or for 0 a share of the device's or the machine's memory."""
    if gigabytes:
        return int(gigabytes * 1e9)
    told = jax.devices()[0].memory_stats() or {}
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(SHARE * told.get("bytes_limit", machine))


def size(tree: Any) -> int:
    """Bytes of a tree's arrays on the device, or of the shapes of such."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def least(config: configs.Config, dataset: Dataset) -> int:
    """Bytes of the parameters, their best copy and what the optimizer keeps: known before anything is allocated."""
    model = fields.resolve("model", config.model.name, fields.members(models))(config.model, dataset)
    params = jax.eval_shape(lambda: embed.init(jax.random.key(0), model))
    kept: Any = ()
    if config.train.method == "gradient":
        optimizer = fields.resolve("optimizer", config.optimizer.name, optimizers.members())
        kept = jax.eval_shape(
            lambda: optimizer(jnp.float32(0.0)).init(rows.take(embed.init(jax.random.key(0), model), {}))
        )
    return 2 * size(params) + size(kept)


def need(state: Any, data: Any, programs: Any) -> Need:
    """What was compiled tells.

    Args:
        state: of a trial.
        data: of the step, and of what is judged.
        programs: the compiled programs of one trial.
    """
    plans = [one.memory_analysis() for one in programs]
    temporary = max(
        plan.temp_size_in_bytes + max(0, plan.output_size_in_bytes - plan.alias_size_in_bytes) for plan in plans
    )
    return Need(size(data), size(state), size(state.params), temporary)


def refuse(config: configs.Config, bytes_: int, budget: int, what: str) -> None:
    """Refuses a trial that does not fit alone.

    Raises:
        InputError: what it takes and what there is, and what to change.
    """
    if bytes_ > budget:
        raise InputError(
            f"the trial takes {bytes_ / 1e9:.3g} GB ({what}) and {budget / 1e9:.3g} GB may be taken; give more with "
            f"--memory, or make model.dimension={config.model.dimension} or train.batch={config.train.batch} smaller"
        )
