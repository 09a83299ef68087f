"""Folding on real data whose groups are known: MovieLens 1M and Online Retail, merged, never meet.

Source: Xin et al. 2017 (folding); Krichene et al. 2019 (gravity); Hu, Koren, Volinsky 2008 (the unobserved weight).
Claim:  trained on positives alone the DNN folds, with the squared and with the logistic loss: more than half of the
        top 10 comes from the other source. MF does not fold. Each cure brings the share to at most 1 % (the data's
        own rate is 0). 98 % of the full softmax's in-group recall@10 is kept by softmax on uniform negatives, and for
        MF by the squared loss and by WALS; the logistic loss of MF keeps 96 to 98 %. The DNN keeps 80 to 88 % with
        the squared and the logistic loss, whatever the cure.
Run:    python launch.py --config=experiments/folding_merged.py --config.data.path=data --workdir=runs/folding_merged
        --save=results/folding_merged
Expect: an hour on two cores. Weights and rates were chosen by validation NDCG@10, seed 10, a few values each: weights
        with gravity .001 to .01 and .003 to .03 (squared, MF and DNN), .0001 to .001 and .0003 to .003 (logistic);
        on uniform negatives, logistic, .0003 to .01 for both; rates 2e-3 to 2e-2. WALS has the settings of
        experiments/wals_movielens.py.
"""

import dataclasses

from experiments.folding import NONE, TO_THE_END, arm
from recjax import configs, plots
from recjax.study import Study

START = configs.Config(
    data=configs.Data(name="merged"),
    train=configs.Train(epochs=4.0, evaluate=0.5, patience=TO_THE_END),
    evaluate=configs.Evaluate(k=(10,)),
)
MODELS = {
    "MF": configs.Model(name="mf", dimension=32),
    "DNN": configs.Model(dimension=32, query_features=("history",)),  # ids alone, as in MF
}
UNIFORM = configs.Sampler(name="uniform", negatives=2048)
RATES = {
    "MF": {"softmax": 1e-2, "squared": 5e-3, "logistic": 1e-2},
    "DNN": {"softmax": 1e-2, "squared": 5e-3, "logistic": 5e-3},
}
# The weight of an unobserved pair beside an observed one: that of the gravity, and of uniform negatives.
SQUARED = 0.003
LOGISTIC_GRAVITY = {"MF": 0.0001, "DNN": 0.0003}
LOGISTIC = {"MF": (0.003, 2e-2), "DNN": (0.003, 5e-3)}  # of uniform negatives, with the learning rate
ITEMS = 7371  # gravity is a mean over them, where uniform negatives estimate a sum


def get_study() -> Study:
    arms: dict[str, configs.Config] = {}
    for model, rates in RATES.items():
        start, (weight, rate) = dataclasses.replace(START, model=MODELS[model]), LOGISTIC[model]
        gravity = {"squared": ITEMS * SQUARED, "logistic": ITEMS * LOGISTIC_GRAVITY[model]}
        arms |= {
            f"{model}, full softmax": arm(start, "softmax", configs.Sampler(), rates["softmax"]),
            **{f"{model}, {loss}, positives only": arm(start, loss, NONE, rates[loss]) for loss in gravity},
            f"{model}, softmax, uniform": arm(start, "softmax", UNIFORM, rates["softmax"]),
            f"{model}, squared, uniform": arm(start, "squared", UNIFORM, rates["squared"], weight=SQUARED),
            f"{model}, logistic, uniform": arm(start, "logistic", UNIFORM, rate, weight=weight),
            **{
                f"{model}, {loss}, gravity": arm(start, loss, NONE, rates[loss], gravity=gravity[loss])
                for loss in gravity
            },
        }
    arms["MF, WALS"] = dataclasses.replace(
        START,
        model=MODELS["MF"],
        wals=configs.Wals(unobserved_weight=0.6, regularization=0.001),
        train=configs.Train(method="wals", epochs=8.0, evaluate=2.0),
    )
    columns = ("recall@10", "in_group_recall@10", "cross_group_share@10", "cross_group_auc", "mean_popularity@10")
    return Study(
        arms=arms, seeds=(0, 1, 2), columns=columns, draw=lambda path, found: plots.bars(path, found["rows"], columns)
    )
