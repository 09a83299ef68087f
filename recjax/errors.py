"""The ways in which a run ends early: bad input, numbers that are no longer finite, and a request to stop."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input. The message says what was given, what was wanted and what to type next."""


class DivergedError(ArithmeticError):
    """A number that training needs is not finite.

    Attributes:
        step: the first step (counted from 1) with such a number.
        term: its name, as in `metrics.jsonl`.
    """

    def __init__(self, step: int, term: str):
        super().__init__(
            f"{term} is not finite at step {step}; a smaller --config.optimizer.learning_rate is the usual cure"
        )
        self.step = step
        self.term = term


class Interrupted(BaseException):
    """A signal asked the run to stop; as KeyboardInterrupt it is no Exception, so nobody takes it for a fault."""


def unknown(kind: str, given: str, valid: Iterable[str], among: Iterable[str] | None = None) -> InputError:
    """The error for a name that does not exist, with the nearest of `among` (by default of `valid`).

    >>> str(unknown("loss", "sofmax", ["softmax", "logistic"]))
    "unknown loss 'sofmax'; did you mean 'softmax'? Valid: logistic, softmax"
    """
    names = sorted(valid)
    near = difflib.get_close_matches(given, sorted(among or names), n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return InputError(f"unknown {kind} {given!r}; {hint}Valid: {', '.join(names)}")
