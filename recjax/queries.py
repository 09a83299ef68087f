"""What a run keeps of each judged query of the test part: so that runs can be compared query by query."""

import numpy as np

from recjax import configs, evaluate, folding
from recjax.types import Dataset


def arrays(ranking: evaluate.Ranking, known: Dataset, settings: configs.Evaluate) -> dict[str, np.ndarray]:
    """The arrays of queries.npz.

    Returns:
        query: the raw ids as text [Q]; index: the queries' rows in tables [Q]; retrieved: the items' rows, best
        first, -1: none [Q K]; and each metric that is one number a query, by its name [Q].
    """
    found = {
        "query": known.vocabularies["query"][ranking.query].astype(str),
        "index": ranking.query,
        "retrieved": ranking.ids,
        **ranking.metrics,
    }
    if known.groups is None or ranking.sampled:
        return found
    own, items = known.groups.query[ranking.query], known.groups.item
    shares = {f"cross_group_share@{k}": folding.cross_group_share(ranking.ids[:, :k], own, items) for k in settings.k}
    return found | {name: share.astype(np.float32) for name, share in shares.items()}
