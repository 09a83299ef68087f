"""Matrix factorization by gradients on MovieLens 1M as published with neural collaborative filtering.

Source: Rendle, Krichene, Zhang, Anderson 2020 (neural collaborative filtering and matrix factorization revisited): the
        logistic loss of each positive and 8 negatives, λ = .005; for D = 192 we remember a hit rate of .729 and an
        NDCG of .452, but have not verified them. The data: He et al. 2017.
Claim:  at D = 64 it comes to within .01 of iALS of the same D (results/ncf_ials.json), in hit rate and in NDCG. It has
        the source's objective, each pair that is seen regularized, but not its program: where that walks 256 epochs by
        stochastic gradients of one example, this takes 20 of Adam with 512 negatives a batch that weigh as 8 each; and
        there are no biases.
Run:    python launch.py --config=experiments/ncf_mf.py --config.data.path=FOLDER/ml-1m-ncf --save=results/ncf_mf
Expect: six minutes on two cores. λ and the 8 negatives are the source's. The rate was chosen out of 2e-3, 1e-2, 3e-2
        by NDCG@10 on the last but one item of each query (--config.data.split=last_out), where a tenth of λ was worse.
"""

from recjax import configs, plots
from recjax.study import Study

ITEMS, NEGATIVES, REGULARIZATION = 3706, 8, 0.005


def get_study() -> Study:
    arm = configs.Config(
        data=configs.Data(name="movielens_1m_ncf", split="ncf"),
        model=configs.Model(name="mf"),
        sampler=configs.Sampler(name="uniform", negatives=512),
        objective=configs.Objective(loss="logistic", unobserved_weight=NEGATIVES / ITEMS),
        penalties=configs.Penalties(
            query_l2=(1 + NEGATIVES) * REGULARIZATION / 2,
            positive_l2=REGULARIZATION / 2,
            negative_l2=NEGATIVES * REGULARIZATION / 2,
        ),
        optimizer=configs.Optimizer(learning_rate=1e-2, decay="cosine"),
        train=configs.Train(epochs=20.0, batch=2048),
        evaluate=configs.Evaluate(k=(10,)),
    )
    columns = ("sampled_hit_rate@10", "sampled_ndcg@10", "random_pair_auc")
    return Study(
        arms={"MF, D = 64": arm},
        seeds=(0, 1, 2),
        columns=columns,
        draw=lambda path, found: plots.bars(path, found["rows"], columns[:2]),
        published={"MF, D = 192 (from memory)": dict(zip(columns, (0.729, 0.452), strict=False))},
    )
