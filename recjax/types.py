"""The nouns. Arrays travel in the NamedTuples below; settings live in `recjax.configs`; nothing is both.

Axis letters, the same everywhere:
    B  queries in a batch        C  candidates          D  dimension of an embedding
    E  interactions              K  retrieved items     L  a padded list
    M  queries                   N  items               P  positives of an example
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

Key = Array  # a typed JAX key, jax.random.key(seed)
Knobs = Mapping[str, float | Array]  # the config's numeric tunables by dotted name; may be tracers


class Bag(NamedTuple):
    """Padded lists of ids: a multi-hot feature, or a history."""

    ids: Int[Any, "*B L"]
    where: Bool[Any, "*B L"]


Features = Mapping[str, Any]  # name -> [.] int: an id; Bag: ids; [.] float: a dense value


class Interactions(NamedTuple):
    """What queries did with items, sorted by (query, time, row in the source); numpy on the host, JAX in `Data`.

    `time` is in whole seconds, or None where no order is known.
    """

    query: Int[Any, " E"]
    item: Int[Any, " E"]
    weight: Float[Any, " E"]
    time: Int[Any, " E"] | None


class Groups(NamedTuple):
    """Known groups: pairs across them are spurious (two languages, two merged data sets)."""

    query: np.ndarray  # [M]
    item: np.ndarray  # [N]


class Dataset(NamedTuple):
    """Everything known about queries and items, on the host (numpy).

    `queries` and `corpus` hold features with leading axes M and N. `vocabularies[name][id]` is the raw value
    behind an id; it has an entry for "query", "item" and each feature of ids; equal names share a vocabulary.
    `impressions` are explicit negatives, in the order of interactions: what a query was shown and did not take.
    `notes` count what reading left out, by reason.
    """

    interactions: Interactions
    queries: Features
    corpus: Features
    vocabularies: Mapping[str, np.ndarray]
    groups: Groups | None
    repeats: bool  # may a query meet an item again? Then what it has seen is not excluded
    impressions: Interactions | None = None
    notes: Mapping[str, int] = {}


class HeldOut(NamedTuple):
    """A judgement: what is known when retrieving, and what is then relevant.

    `candidates` is [Q C] for the Q judged queries in ascending order: only these items are ranked (the sampled
    protocol), -1: none; None: the whole corpus.
    """

    known: Dataset
    relevant: Interactions
    candidates: np.ndarray | None = None


class Promise(NamedTuple):
    """What a split promises beside parts that do not overlap; `leaks.check` holds it to that.

    `order`: where times are known, what a query did before what is relevant for it is all that is known of it
    ("query"), or of anyone ("global"); "" promises nothing. `cold`: the queries ("query") or the items ("item") of
    what is relevant, with which nothing trains; "" for neither.
    """

    order: str = "query"
    cold: str = ""


class Split(NamedTuple):
    """Train on `train`; choose settings and the stopping step by `validation`; report `test`, once.

    `validation` is None where a published protocol has none: then nothing is chosen and the last step counts.
    """

    train: Dataset
    validation: HeldOut | None
    test: HeldOut
    promise: Promise = Promise()


class Lists(NamedTuple):
    """Each query's items: those of query q are `items[offsets[q]:offsets[q + 1]]`."""

    items: Int[Array, " E"]
    offsets: Int[Array, " M_plus_1"]


class Data(NamedTuple):
    """What a step reads, resident on the device: always an argument of the jitted function, never a closure.

    The interactions of query q are `offsets[q]:offsets[q + 1]`. Times count from the first interaction; `span` is
    the last one's. `frequency[i]` is the expected number of times that item i is among the positives of one example.
    """

    interactions: Interactions
    offsets: Int[Array, " M_plus_1"]
    span: Int[Array, ""]
    queries: Features
    corpus: Features
    frequency: Float[Array, " N"]
    impressions: Lists | None = None


class Batch(NamedTuple):
    """Examples. `target` is the distribution over an example's positives: a row sums to 1, padding has 0."""

    features: Features
    positive: Int[Array, "B P"]
    target: Float[Array, "B P"]
    weight: Float[Array, " B"]


class Candidates(NamedTuple):
    """The items that a batch is scored against, beside each row's own positives.

    `log_q` is the log of each one's expected count among the candidates and broadcasts to [B C]; `where` says which
    may count against which row: accidental hits and known history are False. `positive_log_q` [B P] is the same log
    for the positives. `ids = None` is the whole corpus: then nothing is sampled, and `where` is a list
    [B L] of the ids that must *not* count for a row, padded with ids of N or more. `more` are further samples, each
    to be scored only where those before are not enough (`Sampler.enough`).
    """

    ids: Int[Array, " C"] | Int[Array, "B C"] | None
    log_q: Float[Array, "*C"]
    where: Bool[Array, "B C"] | Int[Array, "B L"]
    positive_log_q: Float[Array, "B P"]
    more: "tuple[Candidates, ...]" = ()


class Sampler(NamedTuple):
    """Who is scored in a step beside the positives, and how much each one counts.

    `init(data, params) -> state` holds every [N] array; `sample(key, state, batch) -> (Candidates, state)` chooses
    whom to score. `refine(key, state, batch, candidates, positive [B P], negative [B C]) -> (Candidates, state,
    metrics)` gets the step's own logits, without gradient: it may narrow `where`, change `log_q`, learn, and report;
    the ids are settled.
    `in_batch`: the first B * P candidates are the batch's own positives, whose embeddings are at hand.
    `enough`: the effective sample size below which `Candidates.more` are scored; 0: never.
    """

    init: Callable[[Data, "Params | None"], Any]
    sample: Callable[[Key, Any, Batch], tuple[Candidates, Any]]
    in_batch: bool = False
    refine: Callable[[Key, Any, Batch, Candidates, Array, Array], tuple[Candidates, Any, dict[str, Array]]] | None = (
        None
    )
    enough: float = 0.0


class Embedded(NamedTuple):
    """A step's embeddings. `negatives` [C D] or [B C D] count where `where` [B C], or what broadcasts to it, does.

    There are none where the softmax over a large corpus has its log-partition alone.
    """

    queries: Float[Array, "B D"]
    positives: Float[Array, "B P D"]
    negatives: Float[Array, "*B C D"] | None = None
    where: Bool[Array, "#B #C"] | None = None


class Penalty(NamedTuple):
    """`init(data, params) -> state`; `apply(state, params, embedded, batch) -> (scalar, state)`.

    `whole`: it reads whole tables of `params`, which are then trained densely.
    """

    init: Callable[[Data, "Params | None"], Any]
    apply: Callable[[Any, "Params", Embedded, Batch], tuple[Array, Any]]
    whole: bool = False


class Tower(NamedTuple):
    """A function from features to embeddings that gets the rows it declared, never tables.

    `init(key) -> params`; `ids(features) -> {table: {feature: ids}}` declares every row that it will read;
    `apply(key, params, rows, features) -> [... D]`, with the rows in the structure of the ids, and for a Bag of ids
    the sum of its rows. With `key = None` nothing is random: no dropout.
    """

    init: Callable[[Key], Any]
    ids: Callable[[Features], Mapping[str, Any]]
    apply: Callable[[Key | None, Any, Mapping[str, Any], Features], Array]


class Model(NamedTuple):
    """What is static of a model: the settings of its tables (`tables.Table`) by name, and its two towers."""

    specs: Mapping[str, Any]
    query: Tower
    item: Tower


class Params(NamedTuple):
    """All that is learned: embedding tables by name (in a step, the rows of some), and the parameters of the nets."""

    tables: dict[str, Any]
    query: Any
    item: Any


class State(NamedTuple):
    """Where a run stands. Arrays only, and no key: the step is folded into the run's key."""

    step: Int[Array, ""]
    params: Params
    optimizer: Any
    sampler: Any
    penalty: Any


Step = Callable[[Knobs, Key, State, Any], tuple[State, dict[str, Array]]]  # the last argument is data on the device
