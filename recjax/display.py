"""The live line of a run: on a terminal it moves, in a log file there is none."""

import sys
from typing import Any

from tqdm import tqdm

from recjax import reports

_FORMAT = "step {n_fmt} of {total_fmt} |{bar:20}| {remaining} left{postfix}"


def bar(total: int, done: int = 0, file: Any = None, quiet: bool = False) -> tqdm:
    """The line of a run of `total` steps; elsewhere than on a terminal nothing is written.

    Args:
        done: steps before this process.
        file: a stream of text; stderr by default.
        quiet: nothing is written: somebody else tells how far it is.
    """
    file = file or sys.stderr
    return tqdm(
        total=total, initial=done, file=file, disable=quiet or not file.isatty(), bar_format=_FORMAT, mininterval=0.2,
        dynamic_ncols=True, leave=False,
    )  # fmt: skip


def told(loss: float, rate: float, select: str, best: float | None, best_step: int) -> str:
    """What the line says after the time.

    Args:
        rate: examples a second of training.
        best: the best validation metric so far, None: none yet.

    >>> told(5.96041, 118_250.0, "ndcg@10", 0.11243, 900)
    'loss 5.96, 118k examples/s, best ndcg@10 .1124 at step 900'
    >>> told(5.96041, 900.0, "ndcg@10", None, 0)
    'loss 5.96, 900 examples/s'
    """
    found = f", best {select} {reports.number(best)} at step {best_step:,}" if best is not None else ""
    return f"loss {loss:.4g}, {tqdm.format_sizeof(rate)} examples/s{found}"


def left(seconds: float, done: int, total: int) -> str:
    """The time left, as a clock shows it, where `done` of `total` steps took so many seconds.

    >>> left(25.0, 100, 400), left(10.0, 1, 400)
    ('01:15', '1:06:30')
    """
    return tqdm.format_interval(seconds / done * (total - done))
