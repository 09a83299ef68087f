"""Gowalla's published split is by order: the test file is like the ends of the training lists, not like a draw.

Source: recjax's own. Wang et al. 2019 (neural graph collaborative filtering), whose split this is, call it a draw.
Claim:  a drawn tenth of the training pairs is less popular, and closer to what its query otherwise did, than the test
        pairs are; the last tenth of each query's list is nearer to them in both. Settings chosen on a drawn part are
        chosen for another task.
Run:    python launch.py --config=experiments/gowalla_split.py --config.data.path=data/gowalla
        --save=results/gowalla_split
Expect: three minutes on two cores.
"""

import numpy as np
import scipy.sparse

from recjax import configs, datasets, plots, splits
from recjax.interactions import take
from recjax.study import Measurement
from recjax.types import Interactions

PAIRS = 3000  # of each part, drawn
COLUMNS = ("popularity", "closeness", "test popularity", "test closeness")


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    """A row a way to hold a tenth of the training file out, and what is held out beside the test file."""
    dataset = datasets.lightgcn(config.data)
    split = splits.lightgcn(dataset, config.data)
    train, test = split.train.interactions, split.test.relevant
    size = len(dataset.vocabularies["query"]), len(dataset.vocabularies["item"])
    rng = np.random.default_rng(config.seed)
    length = np.bincount(train.query, minlength=size[0])[train.query]
    place = (np.arange(len(train.query)) - np.searchsorted(train.query, train.query) + 0.5) / length
    held = {
        "drawn": rng.random(len(place)) < 0.1,
        "first of each list": place < 0.1,
        "middle of each list": np.abs(place - 0.5) < 0.05,
        "last of each list": place > 0.9,
    }
    rows = {}
    for name, which in held.items():
        query, item = train.query[~which], train.item[~which]
        met = scipy.sparse.csr_array((np.ones(len(query), np.float32), (query, item)), shape=size)
        parts = {"": take(train, which), "test ": test}
        rows[name] = {
            prefix + column: value for prefix, part in parts.items() for column, value in told(met, part, rng).items()
        }
    return rows


def told(met: scipy.sparse.csr_array, part: Interactions, rng: np.random.Generator) -> dict[str, float]:
    """Means over pairs: how many queries met the item, and what share of the query's other items each of them met."""
    by_item = met.T.tocsr()
    share = []
    for row in rng.choice(len(part.query), PAIRS, replace=False):
        others = by_item.indices[slice(*by_item.indptr[part.item[row] : part.item[row] + 2])]
        others = others[others != part.query[row]]
        own = met.indices[slice(*met.indptr[part.query[row] : part.query[row] + 2])]
        share.append(met[others][:, own].sum() / max(len(others) * len(own), 1))
    return {"popularity": float(np.diff(by_item.indptr)[part.item].mean()), "closeness": float(np.mean(share))}


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(data=configs.Data(name="lightgcn", split="lightgcn")),
        seeds=(0, 1, 2),
        columns=COLUMNS,
        draw=lambda path, found: plots.bars(path, found["rows"], COLUMNS),
    )
