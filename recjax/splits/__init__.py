"""Splits into train, validation and test. One signature: (dataset, settings: configs.Data) -> Split.

The order is (time, row in the file). At test, what is known includes the validation part. What each split promises is
in its `promise`, and `leaks.check` holds every split to it, a user's own too.
"""

from recjax.splits.drawn import cold_items, cold_queries, queries_out, random_out, share_out
from recjax.splits.future import global_time, last_out, last_out_ring
from recjax.splits.published import lightgcn, lightgcn_tuning, ncf

__all__ = [
    "cold_items",
    "cold_queries",
    "global_time",
    "last_out",
    "last_out_ring",
    "lightgcn",
    "lightgcn_tuning",
    "ncf",
    "queries_out",
    "random_out",
    "share_out",
]
