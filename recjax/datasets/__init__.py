"""Data sets. One signature: (settings: configs.Data) -> Dataset, in numpy alone."""

from recjax.datasets.languages import languages
from recjax.datasets.merged import merged
from recjax.datasets.movielens import movielens_1m, movielens_100k
from recjax.datasets.ncf import movielens_1m_ncf
from recjax.datasets.online_retail import online_retail

__all__ = ["languages", "merged", "movielens_1m", "movielens_1m_ncf", "movielens_100k", "online_retail"]
