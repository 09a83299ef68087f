"""The learning rates of experiments/adaptive.py, chosen on validation.

Source: none; the test part is not looked at.
Claim:  none. Each method takes the rate with the best validation NDCG@10 of one seed that the comparison does not use.
Run:    python launch.py --config=experiments/adaptive_rates.py --config.data.path=FOLDER/ml-1m \
            --save=results/adaptive_rates
Expect: ten minutes on two cores.
"""

import dataclasses

from experiments import adaptive
from recjax import plots
from recjax.study import Study

RATES = (2e-3, 4e-3, 8e-3)


def get_study() -> Study:
    arms = {
        f"{name}, {rate:g}": dataclasses.replace(
            config,
            optimizer=dataclasses.replace(config.optimizer, learning_rate=rate),
            train=dataclasses.replace(config.train, evaluate=1.0),
        )
        for name, config in adaptive.get_study().arms.items()
        for rate in RATES
    }
    columns = ("validation_ndcg@10",)
    return Study(arms, (10,), columns, lambda path, found: plots.bars(path, found["rows"], columns))
