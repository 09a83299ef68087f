"""Two-tower.

Run:    python launch.py --config=experiments/two_tower.py
"""

from recjax import configs


def get_config() -> configs.Config:
    return configs.Config(
        model=configs.Model(name="two_tower"), sampler=configs.Sampler(name="mixed", negatives=512, exponent=0.0)
    )
