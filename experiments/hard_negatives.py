"""Hard negatives: what the hardest of a pool give, how hard they may be, and what a schedule or resampling changes.

Source: Google's course on recommendation systems (softmax training: negatives with the highest scores contribute most
        to the gradient); Rubin 1987 (resampling).
Claim:  the hardest twentieth of a pool of 1,024 uniform negatives teach the softmax DNN nearly what the whole pool
        does; the hardest hundredth do not, and fold. A share that falls over the first 2,000 steps mends some of that.
Run:    python launch.py --config=experiments/hard_negatives.py --save=results/hard_negatives
Expect: ten minutes on two cores. The embedded world, three seeds, stopped by validation.
"""

from recjax import configs, plots
from recjax.study import Study


def arm(name: str, **changes) -> configs.Config:
    return configs.Config(sampler=configs.Sampler(name=name, negatives=1024, **changes))


def get_study() -> Study:
    arms = {"whole pool": arm("uniform")}
    arms |= {f"hardest {share:g}": arm("hard", hard_share=share) for share in (0.2, 0.05, 0.01)}
    arms |= {"hardest 0.01, from 1": arm("hard", hard_share=0.01, hard_steps=2000)}
    arms |= {f"resampled {places}": arm("score_proportional", resampled=places) for places in (64, 16)}
    return Study(
        arms=arms,
        seeds=(0, 1, 2),
        columns=(
            "validation_ndcg@10",
            "recall@10",
            "ndcg@10",
            "coverage@10",
            "cross_group_share@10",
            "random_score_q99",
        ),
        draw=lambda path, rows: plots.bars(path, rows, ("ndcg@10", "coverage@10", "cross_group_share@10")),
    )
