"""Gowalla in the lists of LightGCN: the whole corpus ranked, D = 64, beside a public table.

Source: He et al. 2020 (LightGCN: the split); Wu et al. 2024 (BSL) for the softmax and BSL rows; the others as collected
        with SimpleX (Mao et al. 2021) and by the BARS benchmark. Those papers choose the epoch on the test part.
Claim:  TODO
Run:    python launch.py --config=experiments/gowalla.py --config.data.path=data/gowalla --save=results/gowalla
Expect: TODO
"""

from recjax import configs, plots
from recjax.study import Study

COLUMNS = ("recall@20", "ndcg@20")
PUBLISHED = {
    "MF, BPR": (0.1627, 0.1378),
    "MF, softmax": (0.1759, 0.1395),
    "MF, BSL": (0.1882, 0.1584),
    "YouTube-DNN style": (0.1754, 0.1473),
    "item_knn": (0.1570, 0.1214),
    "ease": (0.1765, 0.1467),
    "LightGCN": (0.1820, 0.1547),
    "SimpleX": (0.1872, 0.1557),
}


def arms(data: configs.Data) -> dict[str, configs.Config]:
    sampler = configs.Sampler(name="uniform", negatives=1024)
    evaluate = configs.Evaluate(k=(20,), select="ndcg@20", pairs=256)
    train = configs.Train(epochs=24.0, batch=2048, evaluate=24.0)

    def gradient(model: configs.Model, objective: configs.Objective, l2: float = 0.0) -> configs.Config:
        return configs.Config(
            data=data,
            model=model,
            sampler=sampler,
            objective=objective,
            penalties=configs.Penalties(batch_l2=l2),
            optimizer=configs.Optimizer(learning_rate=3e-3, decay="cosine"),
            train=train,
            evaluate=evaluate,
        )

    mf = configs.Model(name="mf")
    cosine = configs.Objective(score="cosine", temperature=0.08)
    bsl = configs.Objective(loss="bsl", score="cosine", temperature=0.11, exponent=1.22)
    return {
        "MF, BPR": gradient(mf, configs.Objective(loss="bpr"), l2=1e-3),
        "MF, softmax": gradient(mf, cosine),
        "MF, BSL": gradient(mf, bsl),
        "YouTube-DNN style": gradient(configs.Model(query_features=("history",), hidden=()), bsl),
        "two-tower, query and history": gradient(
            configs.Model(name="two_tower", query_features=("query", "history"), item_features=("item",), hidden=()),
            bsl,
        ),
        "iALS": configs.Config(
            data=data,
            model=mf,
            wals=configs.Wals(unobserved_weight=0.01, regularization=0.01),
            train=configs.Train(method="wals", epochs=4.0),
            evaluate=evaluate,
        ),
    }


def get_study() -> Study:
    return Study(
        arms=arms(configs.Data(name="lightgcn", split="lightgcn")),
        seeds=(0, 1, 2),
        columns=(*COLUMNS, "mrr@20", "coverage@20", "mean_popularity@20", "folding_excess"),
        draw=lambda path, found: plots.bars(path, found["rows"], (*COLUMNS, "mean_popularity@20")),
        published={row: dict(zip(COLUMNS, values, strict=True)) for row, values in PUBLISHED.items()},
    )
