"""Hard negatives: they make up the gradient, but training on the hardest alone is another objective.

Source: Google's recommender course (hard negatives contribute most to the gradient).
Claim:  in a trained softmax DNN the hardest tenth of the corpus has more than four fifths of the gradient over
        negatives, in a new one a tenth. Training on the hardest half of a pool is as good as the full softmax, on the
        hardest tenth to 3 %; on the hardest fiftieth it loses more than a third of NDCG@10, and folds.
Run:    python launch.py --config=experiments/hard_negatives.py --save=results/hard_negatives
Expect: ten minutes on two cores, three seeds; every arm scores the same pool but the full softmax.
"""

import dataclasses

import jax
import numpy as np

from recjax import configs, plots, preparation, trained
from recjax.study import Measurement

POOL = 512
SHARES = (0.01, 0.1)
SAMPLERS = {
    "full softmax": configs.Sampler(),
    "whole pool": configs.Sampler(name="uniform", negatives=POOL),
    "hardest half": configs.Sampler(name="hard", negatives=POOL, hard_share=0.5),
    "hardest tenth": configs.Sampler(name="hard", negatives=POOL, hard_share=0.1),
    "hardest tenth, gradually": configs.Sampler(name="hard", negatives=POOL, hard_share=0.1, hard_steps=2000),
    "hardest fiftieth": configs.Sampler(name="hard", negatives=POOL, hard_share=0.02),
    "score-proportional": configs.Sampler(name="score_proportional", negatives=POOL, resampled=64),
}


def measure(config: configs.Config) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for arm, sampler in SAMPLERS.items():
        found = trained.train(dataclasses.replace(config, sampler=sampler))
        if not rows:
            new = preparation.prepare(found.config).start.state.params
            rows["untrained"] = judge(found._replace(params=new))
        rows[arm] = judge(found) | {"epochs": found.steps / found.epoch, "epoch_s": found.epoch_s}
    return rows


def judge(found: trained.Trained) -> dict[str, float]:
    """Metrics on the test part, and the hardest items' share of the exact softmax's gradient over negatives.

    The gradient with respect to a negative's logit is its probability.
    """
    held = found.split.test
    ranking = trained.rank(found, held)
    logits = np.array(found.retriever.score(ranking.queries, ranking.items)) / found.config.objective.temperature
    known = held.known.interactions
    row = {query: number for number, query in enumerate(ranking.query)}
    for queries, items in ((known.query, known.item), (held.relevant.query, held.relevant.item)):
        where = np.isin(queries, ranking.query)
        logits[[row[one] for one in queries[where]], items[where]] = -np.inf
    share = np.sort(np.asarray(jax.nn.softmax(logits, axis=-1)), axis=-1)[:, ::-1]
    hardest = {f"hardest_{one:g}": float(share[:, : round(one * share.shape[1])].sum(axis=-1).mean()) for one in SHARES}
    return trained.means(ranking, held.known, found.config) | hardest


def get_measurement() -> Measurement:
    return Measurement(
        measure=measure,
        config=configs.Config(train=configs.Train(epochs=60.0), evaluate=configs.Evaluate(k=(10,))),
        seeds=(0, 1, 2),
        columns=(
            "hardest_0.01",
            "hardest_0.1",
            "recall@10",
            "ndcg@10",
            "in_group_recall@10",
            "cross_group_share@10",
            "coverage@10",
            "epochs",
            "epoch_s",
        ),
        draw=lambda path, found: plots.bars(
            path, found["rows"], ("hardest_0.01", "ndcg@10", "cross_group_share@10", "coverage@10", "epochs")
        ),
    )
