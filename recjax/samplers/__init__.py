"""Samplers of negatives. Each factory takes `configs.Sampler` and gives a `types.Sampler`.

Every one tells the log of each candidate's expected count, so that the correction is right by construction, and
masks accidental hits: a candidate that is among a row's own positives does not count against that row.
`recjax.known.masked` makes any of them leave out the query's other interactions too.
"""

from recjax.samplers.batch import in_batch, memory, mixed
from recjax.samplers.model import adaptive, hard, score_proportional
from recjax.samplers.static import full, impressions, log_uniform, none, popularity, uniform

__all__ = [
    "adaptive",
    "full",
    "hard",
    "impressions",
    "in_batch",
    "log_uniform",
    "memory",
    "mixed",
    "none",
    "popularity",
    "score_proportional",
    "uniform",
]
