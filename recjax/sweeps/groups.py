"""Which trials form one program: those whose configs differ in knobs and the seed alone."""

import itertools
from collections.abc import Hashable, Sequence

from recjax import configs, fields
from recjax.sweeps.space import Trial


def program(config: configs.Config) -> Hashable:
    """What is the same for all trials of a program, and for no others.

    A penalty whose weight is 0 is no part of a program.

    >>> from recjax.configs import Config, Optimizer, Penalties, Train
    >>> program(Config()) == program(Config(seed=3, optimizer=Optimizer(learning_rate=0.1)))
    True
    >>> program(Config()) == program(Config(penalties=Penalties(l2=0.1)))
    False
    >>> program(Config()) == program(Config(train=Train(epochs=1.0)))
    False
    """
    knobs = fields.knobs(config)
    static = tuple(one for one in fields.flatten(config).items() if one[0] not in knobs and one[0] != "seed")
    return static, tuple(name for name, weight in vars(config.penalties).items() if weight)


def group(trials: Sequence[Trial], most: int) -> list[list[Trial]]:
    """The trials by program, in parts of at most `most` trials of about equal length."""
    found: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        found.setdefault(program(trial.config), []).append(trial)
    return [part for together in found.values() for part in _parts(together, most)]


def unlike(trials: Sequence[Trial]) -> list[Trial]:
    """One trial for each set of knobs that are not their defaults: what is refused depends on that set alone."""
    default = fields.knobs(configs.Config())
    found: dict[frozenset[str], Trial] = {}
    for trial in trials:
        knobs = fields.knobs(trial.config)
        found.setdefault(frozenset(name for name in knobs if knobs[name] != default[name]), trial)
    return list(found.values())


def _parts(trials: list[Trial], most: int) -> list[list[Trial]]:
    parts = -(-len(trials) // most)
    edges = [round(number * len(trials) / parts) for number in range(parts + 1)]
    return [trials[first:last] for first, last in itertools.pairwise(edges)]
