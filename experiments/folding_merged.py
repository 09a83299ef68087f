"""Folding on real data whose groups are known: MovieLens 1M and Online Retail, merged, never meet.

Source: Xin et al. 2017 (folding); Krichene et al. 2019 (gravity); Hu, Koren, Volinsky 2008 (the unobserved weight).
Claim:  trained on positives alone the DNN folds, with the squared and with the logistic loss: more than half of the
        top 10 comes from the other source. MF does not fold. Each cure brings the share to at most 1 % (the data's
        own rate is 0), but for MF with the logistic loss on uniform negatives (2 %). 98 % of the full softmax's
        in-group recall@10 is kept by WALS and by MF with the logistic loss and gravity alone; the DNN keeps more than
        94 % with gravity, and two thirds to 85 % with uniform negatives. All after one epoch of examples.
Run:    python launch.py --config=experiments/folding_merged.py --config.data.path=data --save=results/folding_merged
Expect: twenty minutes on two cores. Weights were chosen by validation NDCG@10, seed 0: squared with gravity, and the
        same for uniform, out of .001, .003 for MF and .01, .03 for the DNN; logistic with gravity out of .0003, .001
        and .001, .003; logistic with uniform negatives out of .0003, .001. Learning rates were looked at on validation
        too, a few values each, and WALS has the settings of experiments/wals_movielens.py.
"""

from recjax import configs, plots
from recjax.study import Study

NONE, UNIFORM = configs.Sampler(name="none"), configs.Sampler(name="uniform", negatives=1024)
MODELS = {
    "MF": configs.Model(name="mf", dimension=32),
    "DNN": configs.Model(dimension=32, query_features=("history",)),  # ids alone, as in MF
}
RATES = {"MF": 1e-2, "DNN": 5e-3}
# The weight of an unobserved pair beside an observed one.
SQUARED = {"MF": 0.003, "DNN": 0.01}
LOGISTIC = {"MF": 0.001, "DNN": 0.0003}
LOGISTIC_GRAVITY = {"MF": 0.0003, "DNN": 0.001}
ITEMS = 7371  # gravity is a mean over them, where uniform negatives estimate a sum


def arm(model: str, loss: str, sampler: configs.Sampler, weight: float = 1.0, gravity: float = 0.0) -> configs.Config:
    return configs.Config(
        data=configs.Data(name="merged"),
        model=MODELS[model],
        sampler=sampler,
        objective=configs.Objective(loss=loss, unobserved_weight=weight),
        penalties=configs.Penalties(gravity=ITEMS * gravity),
        gravity=configs.Gravity(pairs="corpus" if gravity else "all"),
        optimizer=configs.Optimizer(learning_rate=RATES[model]),
        train=configs.Train(epochs=1.0, evaluate=0.5),
        evaluate=configs.Evaluate(k=(10,)),
    )


def get_study() -> Study:
    arms: dict[str, configs.Config] = {}
    for model in MODELS:
        arms |= {
            f"{model}, full softmax": arm(model, "softmax", configs.Sampler()),
            f"{model}, squared, positives only": arm(model, "squared", NONE),
            f"{model}, logistic, positives only": arm(model, "logistic", NONE),
            f"{model}, softmax, uniform": arm(model, "softmax", UNIFORM),
            f"{model}, squared, uniform": arm(model, "squared", UNIFORM, SQUARED[model]),
            f"{model}, logistic, uniform": arm(model, "logistic", UNIFORM, LOGISTIC[model]),
            f"{model}, squared, gravity": arm(model, "squared", NONE, gravity=SQUARED[model]),
            f"{model}, logistic, gravity": arm(model, "logistic", NONE, gravity=LOGISTIC_GRAVITY[model]),
        }
    arms["MF, WALS"] = configs.Config(
        data=configs.Data(name="merged"),
        model=MODELS["MF"],
        wals=configs.Wals(unobserved_weight=0.6, regularization=0.001),
        train=configs.Train(method="wals", epochs=8.0, evaluate=2.0),
        evaluate=configs.Evaluate(k=(10,)),
    )
    columns = ("recall@10", "in_group_recall@10", "cross_group_share@10", "cross_group_auc", "mean_popularity@10")
    return Study(
        arms=arms, seeds=(0, 1, 2), columns=columns, draw=lambda path, found: plots.bars(path, found["rows"], columns)
    )
