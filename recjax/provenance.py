"""What the numbers of a run depend on beside its config and the code: the data, and where it runs."""

import platform
from typing import Any

import jax

import recjax
from recjax.interactions import fingerprint
from recjax.preparation import Prepared


def data(prepared: Prepared) -> dict[str, Any]:
    """What result.json says of the data."""
    dataset = prepared.dataset
    return {
        "name": prepared.config.data.name,
        "queries": len(dataset.vocabularies["query"]),
        "items": len(dataset.vocabularies["item"]),
        "interactions": len(dataset.interactions.query),
        "order": "unknown" if prepared.split.train.interactions.time is None else "(time, row in the source)",
        "fingerprint": fingerprint(dataset),
    }


def environment() -> dict[str, str]:
    """What a number may depend on beside the code."""
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "device": str(jax.devices()[0].device_kind),
        "version": recjax.__version__,
    }
