"""What the numbers of a run depend on beside its config and the code: the data, and where it runs."""

import platform
from typing import Any

import jax

import recjax
from recjax import cards
from recjax.preparation import Prepared


def data(prepared: Prepared) -> dict[str, Any]:
    """What result.json says of the data: its card."""
    return cards.card(prepared.config.data.name, prepared.dataset, prepared.split)


def environment() -> dict[str, str]:
    """What a number may depend on beside the code."""
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "device": str(jax.devices()[0].device_kind),
        "version": recjax.__version__,
    }
