"""Data sets. One signature: (settings: configs.Data) -> Dataset; numpy, and pyarrow where a file is large."""

from recjax.datasets.languages import languages
from recjax.datasets.lists import lightgcn
from recjax.datasets.merged import merged
from recjax.datasets.movielens import (
    movielens_1m,
    movielens_10m,
    movielens_20m,
    movielens_25m,
    movielens_32m,
    movielens_100k,
    movielens_latest,
    movielens_latest_small,
)
from recjax.datasets.ncf import movielens_1m_ncf
from recjax.datasets.online_retail import online_retail
from recjax.datasets.table import table

__all__ = [
    "languages",
    "lightgcn",
    "merged",
    "movielens_1m",
    "movielens_1m_ncf",
    "movielens_10m",
    "movielens_20m",
    "movielens_25m",
    "movielens_32m",
    "movielens_100k",
    "movielens_latest",
    "movielens_latest_small",
    "online_retail",
    "table",
]
