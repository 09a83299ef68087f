"""The exercise of Google's course on recommendation systems: its matrix factorizations and its softmax model.

Source: Google's course on recommendation systems, programming exercise (MovieLens 100K). Matrix factorization by
        full-batch gradient descent on the observed pairs: D = 30, init .5, rate 10, 1000 steps; then with .1 L2 and 1.0
        gravity, D = 35, init .05, rate 20, 2000 steps. Softmax: bags of the history's ids (35), genres (3) and years
        (2), one linear layer, the ids' table tied to the softmax, Adagrad with rate 8, batches of 200, 3000 steps.
Claim:  on the observed pairs alone matrix factorization folds: it retrieves no better than a random ranking. With
        gravity and L2 its NDCG@10 is 1.8 times popularity's or more, and above the softmax model's.
Run:    python launch.py --config=experiments/colab.py --config.data.path=data/ml-100k --save=results/colab
Expect: five minutes on two cores. docs/colab.md tells where it differs from the exercise.
"""

from recjax import configs, plots
from recjax.study import Study

INTERACTIONS = 80_808  # of training: what share_out leaves of 100,000 with a share of .1


def factorization(dimension: int, deviation: float, rate: float, steps: int, penalties: configs.Penalties):
    """A batch is as large as the training set, so that an epoch is a step.

    Args:
        deviation: of a new entry; `model.scale` is that of a row.
    """
    return configs.Config(
        data=configs.Data(name="movielens_100k", split="share_out"),
        model=configs.Model(name="mf", dimension=dimension, scale=deviation * dimension**0.5),
        sampler=configs.Sampler(name="none"),
        objective=configs.Objective(loss="squared"),
        penalties=penalties,
        optimizer=configs.Optimizer(name="sgd", learning_rate=rate),
        train=configs.Train(epochs=float(steps), batch=INTERACTIONS, evaluate=steps / 20, patience=20),
    )


def softmax(rate: float) -> configs.Config:
    batch, epochs = 200, 3000 * 200 / INTERACTIONS
    return configs.Config(
        data=configs.Data(name="movielens_100k", split="share_out"),
        model=configs.Model(
            dimension=35,
            history=200,
            query_features=("history", "history_genres", "history_year"),
            hidden=(),
            side=3,
            scale=1.0,
        ),
        optimizer=configs.Optimizer(name="adagrad", learning_rate=rate),
        train=configs.Train(epochs=epochs, batch=batch, evaluate=epochs / 20, patience=20),
    )


def get_study() -> Study:
    cured = configs.Penalties(gravity=1.0, l2=0.1)
    return Study(
        arms={
            "mf, observed pairs": factorization(30, 0.5, 10.0, 1000, configs.Penalties()),
            "mf, gravity and L2": factorization(35, 0.05, 20.0, 2000, cured),
            "softmax, rate 8": softmax(8.0),
            "softmax, rate 1": softmax(1.0),
        },
        seeds=(0, 1, 2),
        columns=(
            "precision@10",
            "recall@10",
            "ndcg@10",
            "coverage@10",
            "mean_popularity@10",
            "folding_excess",
            "random_pair_auc",
            "random_score_q99",
        ),
        draw=lambda path, found: plots.bars(path, found["rows"], ("ndcg@10", "coverage@10", "mean_popularity@10")),
    )
