"""Every setting, its unit and its default: one page to read before launching."""

import dataclasses

from recjax.fields import field


@dataclasses.dataclass(frozen=True)
class World:
    """The embedded world `languages`: groups of queries and items that hardly interact across groups."""

    queries: int = field(4000, least=1)
    items: int = field(2000, least=1)
    groups: int = field(8, least=1)
    interactions: int = field(25, least=5)  # mean number a query
    cross: float = field(0.01, least=0.0, below=1.0)  # probability that one draw is from another group
    taste: int = field(6, least=1)  # dimension of the taste inside a group
    focus: float = field(2.5, least=0.0)  # how strongly taste decides; 0: popularity alone
    seed: int = field(0, least=0)


@dataclasses.dataclass(frozen=True)
class Columns:
    """How data.name="table" reads its files: a column by its name, without a header by its number, from 1."""

    # In data.path, read as one; NAME.parquet is Parquet, all else is text, a row a line
    files: tuple[str, ...] = ("interactions.csv",)
    separator: str = ","  # of text: one character, or "::"
    header: bool = True  # text opens with the names of the columns
    query: str = "query"  # any id; whole numbers stay numbers
    item: str = "item"
    time: str = ""  # empty: no order is known
    unit: str = field("s", choices=("s", "ms", "us", "ns", "date"))  # of time, since 1970; date: as 2011-01-31T23:59:59
    rating: str = ""  # what data.least_rating and data.drop_below look at
    weight: str = ""  # empty: each interaction weighs 1


@dataclasses.dataclass(frozen=True)
class Data:
    name: str = "languages"  # a member of recjax.datasets
    path: str = ""  # the folder of a data set that is read from files; merged: the folder of its parts' folders
    # merged: the data sets, as NAME=FOLDER
    parts: tuple[str, ...] = ("movielens_1m=ml-1m", "online_retail=online-retail")
    split: str = "last_out"  # a member of recjax.splits
    share: float = field(
        0.1, above=0.0, below=0.5
    )  # that each held-out part gets, where a split reads it: of a query's interactions, of all, of queries or of items
    seed: int = field(0, least=0)  # of the draw, where a split draws
    cap: int = field(0, least=0)  # in training a query's interactions weigh as much as so many at most; 0: no cap
    # movielens, table: ratings below it are no interactions but impressions, explicit negatives; 0: all interactions
    least_rating: float = field(0.0, least=0.0)
    drop_below: float = field(0.0, least=0.0)  # ratings below it are left out, not shown either; 0: none
    repeats: bool = False  # keep a query's repeated interactions with an item
    # k-core: queries and items with fewer interactions are left out, in rounds until none is
    least_query: int = field(1, least=1)
    least_item: int = field(1, least=1)
    download: bool = False  # movielens: what is not in data.path is fetched from GroupLens, once, into a cache
    columns: Columns = Columns()  # table
    world: World = World()


@dataclasses.dataclass(frozen=True)
class Model:
    name: str = "softmax_dnn"  # a member of recjax.models
    dimension: int = field(64, least=1)  # D
    history: int = field(50, least=1)  # L: how many items known before a query brings along
    # Names of features, or: "side" (all side features), "recency" (since_last, where times are known), "all" (these,
    # the query's id and example_age), "history_side" (the side features of the history's items, as history_NAME).
    query_features: tuple[str, ...] = ("history", "recency", "side")
    item_features: tuple[str, ...] = ("item", "side")
    hidden: tuple[int, ...] = field((256,), least=1)  # sizes of the hidden layers
    activation: str = "relu"  # a member of jax.nn
    dropout: float = field(0.0, least=0.0, below=1.0)  # share of each layer's inputs that a training step drops
    normalization: str = field("none", choices=("none", "l2", "layer"))  # of the output: none, l2 or layer
    bag: str = field("mean", choices=("mean", "sum", "sqrt_n"))  # how a bag of rows becomes one: mean, sum or sqrt_n
    side: int = field(8, least=1)  # dimension of a side feature's table
    buckets: int = field(1024, least=1)  # larger vocabularies of side features are hashed into so many rows
    tied: bool = True  # histories and items share one table
    scale: float = field(0.1, above=0.0)  # the expected norm of a new embedding
    start: str = ""  # the folder of a run whose tables replace new ones
    # mf: a row that nothing trained is the mean of the most similar trained ones, by side features or by what they met
    newcomers: str = field("none", choices=("none", "features", "history"))
    neighbors: int = field(20, least=1)  # so many
    storage: str = field("float32", choices=("float32", "bfloat16"))  # of the tables; all arithmetic is in float32
    update: str = field("auto", choices=("auto", "dense", "rows"))  # what a step reads and writes of a table


@dataclasses.dataclass(frozen=True)
class Sampler:
    name: str = "full"  # a member of recjax.samplers
    negatives: int = field(1024, least=1)  # C: draws shared by the batch; hard, score_proportional: the pool
    mask_known: bool = False  # the query's other interactions are no negatives
    exponent: float = field(1.0, least=0.0)  # popularity: probability ~ count^exponent; mixed: of its second part
    memory: int = field(4096, least=1)  # memory: positives of past steps that are kept
    hard_share: float = field(0.1, above=0.0, most=1.0)  # hard: the share of the pool that counts for a row
    hard_steps: int = field(0, least=0)  # hard: steps over which the share falls from 1 to hard_share
    resampled: int = field(64, least=1)  # score_proportional: of the pool a row keeps about that many
    hashes: int = field(0, least=0)  # in_batch, mixed, memory: hash functions that estimate frequencies; 0: counted
    buckets: int = field(2**16, least=1)  # of each hash function
    rate: float = field(0.1, above=0.0, most=1.0)  # adaptive, hashes: how far a step moves what is known of its items
    floor: float = field(0.1, above=0.0, most=1.0)  # adaptive: the uniform share of the proposal
    refresh: int = field(10, least=1)  # adaptive: steps after which the proposal is built anew
    enough: float = field(0.0, least=0.0)  # adaptive: the effective sample size below which more is scored; 0: never


@dataclasses.dataclass(frozen=True)
class Objective:
    loss: str = "softmax"  # a member of recjax.losses
    score: str = "dot"  # a member of recjax.scores
    temperature: float = field(1.0, knob=True, least=1e-6)  # logits are scores / temperature
    correction: str = field(
        "negatives", choices=("none", "negatives", "all")
    )  # who is corrected for sampling: none, negatives or all (the positive too)
    unobserved_weight: float = field(1.0, knob=True, least=0.0)  # weight of each negative
    positives: int = field(1, least=1)  # P: an example's positives, the query's next P interactions
    # Tunables of losses; one that the chosen loss does not name is refused.
    bias: float = field(0.0, knob=True)  # logistic, gbce, nce: added to each logit
    margin: float = field(1.0, knob=True, least=0.0)  # hinge, warp: how far a positive is to be above a negative
    threshold: float = field(0.0, knob=True)  # ccl: a negative below it costs nothing
    calibration: float = field(0.75, knob=True, least=0.0, most=1.0)  # gbce: t
    ratio: float = field(1.0, knob=True, above=0.0)  # bsl: the negatives' temperature / the positives'
    exponent: float = field(1.0, knob=True, above=0.0)  # bsl: of the sum over negatives


@dataclasses.dataclass(frozen=True)
class Penalties:
    """Weights of the members of recjax.penalties. A weight of 0 leaves the penalty out of the program."""

    gravity: float = field(0.0, knob=True, least=0.0)
    l2: float = field(0.0, knob=True, least=0.0)  # of whole tables; the others of what a batch touches
    query_l2: float = field(0.0, knob=True, least=0.0)
    positive_l2: float = field(0.0, knob=True, least=0.0)
    negative_l2: float = field(0.0, knob=True, least=0.0)


@dataclasses.dataclass(frozen=True)
class Gravity:
    """Of which pairs penalties.gravity is the mean, and how a step has it: see recjax.penalties.Settings."""

    # all: every query and item once. examples: as often as seen. corpus: queries as often as seen, every item once
    pairs: str = field("all", choices=("all", "examples", "corpus"))
    estimate: str = field("exact", choices=("exact", "batch", "sogram", "sagram"))  # of the Gramians
    alpha: float = field(0.1, knob=True, above=0.0, below=1.0)  # sogram: of the present batch; with 1 it would be batch
    beta: float = field(1.0, knob=True, above=0.0)  # sagram: of the cache's correction by the present batch
    rank: int = field(0, least=0)  # R of a prior, the truncated SVD of the interactions; 0: none


@dataclasses.dataclass(frozen=True)
class Optimizer:
    name: str = "adam"  # a member of recjax.optimizers, which has those of optax that take a learning rate
    learning_rate: float = field(1e-3, knob=True, above=0.0)
    decay: str = field(
        "none", choices=("none", "linear", "cosine")
    )  # how the rate falls to 0 until the last epoch ends
    lazy: bool = False  # in training by rows, moments of rows that a batch does not touch stay as they are


@dataclasses.dataclass(frozen=True)
class Wals:
    """Weighted alternating least squares, where train.method is "wals"; the objective is in recjax.least_squares."""

    solver: str = "cg"  # a member of recjax.solvers
    unobserved_weight: float = field(0.1, knob=True, least=0.0)  # alpha0
    all_pairs: bool = True  # alpha0 weighs every pair (iALS); false: the unobserved ones alone (a course's w0)
    regularization: float = field(0.01, knob=True, above=0.0)  # lambda
    exponent: float = field(1.0, knob=True, least=0.0)  # nu: how the regularization of a row grows with its history
    steps: int = field(2, least=1)  # cg: steps a row and half-sweep
    block: int = field(32, least=1)  # block: columns solved at a time
    fold_in: bool = False  # judged queries are embedded anew, in closed form, from what is then known


@dataclasses.dataclass(frozen=True)
class Train:
    method: str = "gradient"  # a member of recjax.methods: gradient or wals
    epochs: float = field(12.0, above=0.0)  # at most; an epoch is as many examples as there are training interactions
    batch: int = field(512, least=1)  # B: examples a step, drawn with replacement
    block: int = field(100, least=1)  # steps a dispatch, and a line of metrics.jsonl
    evaluate: float = field(1.0, above=0.0)  # epochs between evaluations on validation; the best parameters are kept
    patience: int = field(3, least=1)  # evaluations without a better one after which training stops


@dataclasses.dataclass(frozen=True)
class Evaluate:
    k: tuple[int, ...] = field((10, 20), least=1)  # cut-offs
    select: str = "ndcg@10"  # the validation metric that chooses the stopping step
    pairs: int = field(
        1024, least=4
    )  # folding looks at so many queries by so many items; on validation at half of each
    related: str = "svd"  # a member of recjax.relatedness, which says how related a pair is: svd or wals
    rank: int = field(32, least=1)  # of that smoothed interaction matrix


@dataclasses.dataclass(frozen=True)
class Baselines:
    """What the test part is judged by beside the model; item_knn and ease keep a number for each pair of items."""

    names: tuple[str, ...] = ("popularity", "random")  # members of recjax.baselines: also item_knn, ease
    neighbors: int = field(100, least=1)  # item_knn: of an item
    shrinkage: float = field(0.0, least=0.0)  # item_knn: added to what a cosine divides by
    discount: float = field(0.0, least=0.0)  # item_knn: a query counts as its number of items to the minus so much
    regularization: float = field(300.0, above=0.0)  # ease: lambda


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a run leaves to go on from. It changes no number, so a run may go on with other settings of it."""

    keep: int = field(2, least=1)  # the newest so many, and those that hold the best parameters of these
    seconds: float = field(60.0, above=0.0)  # between validations: after the block that ends so long after the last one


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = field(0, least=0, below=2**32)
    data: Data = Data()
    model: Model = Model()
    sampler: Sampler = Sampler()
    objective: Objective = Objective()
    penalties: Penalties = Penalties()
    gravity: Gravity = Gravity()
    optimizer: Optimizer = Optimizer()
    wals: Wals = Wals()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    baselines: Baselines = Baselines()
    checkpoint: Checkpoint = Checkpoint()
