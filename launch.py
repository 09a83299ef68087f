"""Runs an experiment: python launch.py --config=experiments/mf.py --config.optimizer.learning_rate=0.01"""

import pathlib
import runpy
import sys

from absl import app, flags, logging

from recjax import fields
from recjax.errors import DivergedError, InputError, unknown

CONFIG = flags.DEFINE_string(
    "config", "experiments/softmax.py", "The experiment; any field of its config as --config.FIELD=VALUE."
)
WORKDIR = flags.DEFINE_string("workdir", None, "The run folder, which must not exist; by default a new one in runs/.")


def main(arguments: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)  # jax tells at INFO of each kind of device that it did not find
    try:
        config = fields.override(_load(CONFIG.value), _overrides(arguments[1:]))
        from recjax import experiment  # imports jax, which takes seconds: a typing error should not

        experiment.run(config, pathlib.Path(CONFIG.value).stem, WORKDIR.value)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except DivergedError as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(3)


def _load(path: str):
    if not pathlib.Path(path).is_file():
        files = sorted(str(file) for file in pathlib.Path(__file__).parent.glob("experiments/*.py"))
        raise unknown("experiment file in --config", path, files)
    found = runpy.run_path(path)
    if "get_config" not in found:
        raise InputError(f"{path} has no get_config(); wanted a file that defines it, as experiments/mf.py does")
    return found["get_config"]()


def _overrides(arguments: list[str]) -> dict[str, str]:
    """{"model.hidden": "256,128"} from ["--config.model.hidden=256,128"]."""
    found = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.lstrip("-").startswith("config."):
            raise unknown("flag", name, [f"--{flag.name}" for flag in (CONFIG, WORKDIR)] + ["--config.FIELD"])
        if not equals:
            if not rest:
                raise InputError(f"{name} has no value; type {name}=VALUE")
            value = rest.pop(0)
        found[name.lstrip("-").removeprefix("config.")] = value
    return found


def _parse(arguments: list[str]) -> list[str]:
    try:
        return flags.FLAGS(arguments, known_only=True)
    except flags.Error as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    app.run(main, flags_parser=_parse)
