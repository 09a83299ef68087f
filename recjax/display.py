"""The live line of a run: on a terminal it moves; in a log file there is a line now and then."""

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from recjax import reports

SILENCE = 60.0  # seconds after which a run that writes to a file tells again how far it is
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


class Live:
    """How far a run of `total` steps is: the moving line, and the lines that stay."""

    def __init__(
        self, total: int, done: int, echo: Callable[[str], None], *, file: Any = None, quiet: bool = False
    ) -> None:
        self.total, self.before, self.echo, self.quiet = total, done, echo, quiet
        self.bar = bar(total, done, file, quiet)
        self.started = self.spoken = time.perf_counter()

    def __enter__(self) -> "Live":
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def advance(self, step: int, loss: float, judgement: str, now: str, *, idle: float) -> None:
        """Tells that `step` steps are done.

        Args:
            judgement: what validation said, which stays; without it a line stays where none has for a while.
            now: what the moving line says after the time.
            idle: seconds since the beginning in which no step was done.
        """
        silent = self.bar.disable and not self.quiet and time.perf_counter() - self.spoken > SILENCE
        if judgement or silent:
            self.bar.clear()
            self.spoken = time.perf_counter()
            rest = left(self.spoken - self.started - idle, step - self.before, self.total - self.before)
            self.echo(f"step {step:,} of {self.total:,}: loss {loss:.6g}{judgement}, {rest} left")
        self.bar.set_postfix_str(now, refresh=False)
        self.bar.update(step - self.bar.n)


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
