"""The scalars of metrics.jsonl as TensorBoard reads them, written as the run goes."""

import contextlib
import importlib.util
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from recjax.errors import InputError

FOLDER = "tensorboard"
SECONDS = 5  # after which what was written can be seen


def require() -> None:
    """Refuses to start what could not be written.

    Raises:
        InputError: tensorboardX is not installed.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        raise InputError("--tensorboard needs the package tensorboardX; type: pip install 'recjax[tensorboard]'")


@contextlib.contextmanager
def beside(
    log: Callable[[dict[str, Any]], None], folder: pathlib.Path, lines: Iterable[Mapping[str, Any]] = ()
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Gives a `log` that writes each line of metrics.jsonl into `folder`/tensorboard as well.

    Args:
        lines: what was logged before; what is in the folder is replaced by it, so that each step is there once.
    """
    import tensorboardX  # noqa: PLC0415  an extra

    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    with tensorboardX.SummaryWriter(str(folder / FOLDER), flush_secs=SECONDS) as writer:

        def write(line: Mapping[str, Any]) -> None:
            for name, value in scalars(line).items():
                writer.add_scalar(name, value, line["step"])

        def both(line: dict[str, Any]) -> None:
            log(line)
            write(line)

        for line in lines:
            write(line)
        yield both


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of a line of metrics.jsonl by TensorBoard's tags, in which an @ may not be.

    >>> scalars({"step": 5, "split": "validation", "mrr@10": 0.5, "standard_error": {"cross_group_auc": 0.1}})
    {'validation/mrr_10': 0.5, 'validation/standard_error/cross_group_auc': 0.1}
    >>> scalars({"step": 5, "loss": 2.0})
    {'train/loss': 2.0}
    """
    found: dict[str, float] = {}
    part = line.get("split", "train")
    for name, value in line.items():
        if isinstance(value, Mapping):
            found |= {f"{part}/{name}/{inner}": one for inner, one in value.items()}
        elif name not in ("step", "split"):
            found[f"{part}/{name}"] = value
    return {name.replace("@", "_"): value for name, value in found.items()}
