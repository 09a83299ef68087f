"""How related a query and an item are, by the interactions alone: what folding is measured against.

One signature: (dataset, settings) -> factors [M rank], [N rank], whose products are the relatedness.
Source: Xin et al. 2017 (folding: why good models sometimes make spurious recommendations), who smooth the matrix of
interactions by either of the two.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from recjax import configs, fields, folding
from recjax import wals as alternating
from recjax.types import Dataset, Params

Factors = tuple[np.ndarray, np.ndarray]
ITERATIONS = 8


def resolve(settings: configs.Evaluate) -> Callable[[Dataset, configs.Evaluate], Factors]:
    """The member that the settings name.

    Raises:
        InputError: there is none of that name.
    """
    return fields.resolve("relatedness", settings.related, {"svd": svd, "wals": wals})


def svd(dataset: Dataset, settings: configs.Evaluate) -> Factors:
    """The best approximation of the interaction matrix that has this rank."""
    return folding.factors(dataset, settings.rank)


def wals(dataset: Dataset, settings: configs.Evaluate) -> Factors:
    """Eight iterations of WALS in which every pair weighs, as unobserved, as much as an observed one does (α0 = 1)."""
    numbers = configs.Wals(unobserved_weight=1.0, regularization=1e-3)
    sizes = {side: len(dataset.vocabularies[side]) for side in ("query", "item")}
    keys = jax.random.split(jax.random.key(0))
    tables = {
        side: jax.random.normal(key, (sizes[side], settings.rank)) / settings.rank
        for side, key in zip(sizes, keys, strict=True)
    }
    knobs = {f"wals.{name}": jnp.float32(getattr(numbers, name)) for name in _KNOBS}
    advance = alternating.step(numbers)

    @jax.jit
    def run(state, data):
        return jax.lax.scan(lambda state, _: advance(knobs, keys[0], state, data), state, length=ITERATIONS)[0]

    found = run(alternating.init(Params(tables, (), ())), alternating.prepare(dataset, numbers)).params.tables
    return np.asarray(found["query"]), np.asarray(found["item"])


_KNOBS = ("unobserved_weight", "regularization", "exponent")
