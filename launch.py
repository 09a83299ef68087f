"""Runs an experiment file: one config as a run, a study of several configs and seeds, or a measurement of its own.

python launch.py --config=experiments/mf.py --config.optimizer.learning_rate=0.01
python launch.py --config=experiments/mf.py --sweep=optimizer.learning_rate=1e-3,1e-2 --sweep=seed=0:8

Or reads what runs have left: launch.py compare RUN RUN; launch.py table FOLDER; launch.py report FOLDER;
launch.py recommend RUN --query=ID.
"""

import dataclasses
import pathlib
import runpy
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from absl import app, flags, logging

from recjax import fields, interruption
from recjax.errors import DivergedError, InputError, Interrupted, unknown

CONFIG = flags.DEFINE_string(
    "config", "experiments/softmax.py", "The experiment; any field of its config as --config.FIELD=VALUE."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run folder; in that of the same command the run goes on. By default a new one in runs/."
)
SAVE = flags.DEFINE_string(
    "save", None, "The table and picture of a study or measurement are also written to SAVE.json and SAVE.png."
)
ARM = flags.DEFINE_multi_string(
    "arm", [], "Of a study run this arm alone, and keep what SAVE.json has of the others; may be given again."
)
BOARD = flags.DEFINE_bool("tensorboard", False, "Write the scalars of metrics.jsonl for TensorBoard too, as they come.")
DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print what a run will cost, refuse what will not fit, and write nothing."
)
PROFILE = flags.DEFINE_bool("profile", False, "Write a JAX trace of some blocks of steps into the run folder.")
WORDS = ("compare", "table", "report", "recommend")  # functions of recjax.commands; recommend has a room of its own
SWEEP = flags.DEFINE_multi_string(
    "sweep", [], "A field and its values: FIELD=A,B or seed=0:8 or FIELD=log_uniform(LOW,HIGH); see docs/sweeps.md."
)
TRIALS = flags.DEFINE_integer("trials", 0, "How many random draws a sweep takes.", lower_bound=0)
SEARCH = flags.DEFINE_enum("search", "", ["", "optuna"], "Who chooses the draws; by default chance.")
AT_ONCE = flags.DEFINE_integer("at_once", 4, "Draws that a search chooses at a time, as one program.", lower_bound=1)
EXECUTOR = flags.DEFINE_enum("executor", "here", ["here", "pool", "slurm"], "Where the programs of a sweep run.")
PROCESSES = flags.DEFINE_integer("processes", 2, "Programs at a time, of --executor=pool or slurm.", lower_bound=1)
PROGRAM = flags.DEFINE_enum(
    "program", "auto", ["auto", "map", "vmap"], "Trials of a program one after another, or side by side."
)
MEMORY = flags.DEFINE_float("memory", 0.0, "GB that a sweep may take; 0: most of what there is.", lower_bound=0.0)
SLURM = flags.DEFINE_list("slurm", [], "What submitit is given: timeout_min=60,slurm_partition=gpu.")
_ONE = (CONFIG, WORKDIR, SAVE, ARM, BOARD, DRY_RUN, PROFILE)
_MANY = (TRIALS, SEARCH, AT_ONCE, EXECUTOR, PROCESSES, PROGRAM, MEMORY, SLURM)
FLAGS = (*_ONE, SWEEP, *_MANY)


def main(arguments: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)  # jax tells at INFO of each kind of device that it did not find
    try:
        if arguments[1:] and arguments[1] in WORDS:
            _read(arguments[1], arguments[2:])
            return
        _run(_load(CONFIG.value), _overrides(arguments[1:]))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except DivergedError as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(3)
    except Interrupted as signal:
        print(f"interrupted by {signal}; {_again()}", file=sys.stderr)
        sys.exit(interruption.EXIT)


def _again() -> str:
    """What starts an interrupted run again: Slurm, where it can, or the user."""
    if not WORKDIR.value:  # Slurm would begin anew, in another folder
        return "to go on, type the same command with --workdir= and its folder"
    return interruption.requeue() or "to go on, type the same command"


def _read(word: str, arguments: list[str]) -> None:
    """Folders in, text out."""
    _refuse(FLAGS, f"is for a run, and {word} reads folders; leave it out")
    if word == "recommend":
        from recjax import compiled, recommend  # imports jax, which the other words do without

        compiled.keep()
        print(recommend.command(arguments))
        return
    from recjax import commands  # and with it numpy and matplotlib

    print(getattr(commands, word)(arguments))


def _refuse(given: Sequence[Any], reason: str) -> None:
    """Refuses flags that are set and that nothing would read."""
    for flag in given:
        if flag.value != flag.default:
            raise InputError(f"--{flag.name}{'' if flag.value is True else f'={flag.value}'} {reason}")


def _run(found: dict[str, Any], overrides: dict[str, str]) -> None:
    name = pathlib.Path(CONFIG.value).stem
    if "get_config" not in found:
        _refuse((DRY_RUN, PROFILE), f"is for one run, and {CONFIG.value} is none; leave it out")
    if "get_sweep" in found or SWEEP.value:
        _sweep(found, overrides, name)
        return
    _refuse(_MANY, "is for a sweep; name what varies, as --sweep=seed=0:8, or leave it out")
    if "get_study" in found:
        if "seed" in overrides:
            raise InputError(f"--config.seed={overrides['seed']}: a study runs seeds of its own; leave it out")
        with interruption.listening() as listener:
            from recjax import compiled, study

            compiled.keep()
            plan = found["get_study"]()
            arms = {arm: fields.override(config, overrides) for arm, config in plan.arms.items()}
            plan, command = dataclasses.replace(plan, arms=arms), shlex.join(["python", *sys.argv])
            options: dict[str, Any] = {"only": ARM.value, "board": BOARD.value, "listener": listener}
            study.run(plan, name, command, WORKDIR.value, SAVE.value, **options)
    elif "get_measurement" in found:
        from recjax import compiled, study

        compiled.keep()
        _refuse((ARM, BOARD), f"is for runs, and {CONFIG.value} is a measurement; leave it out")
        if "seed" in overrides:
            raise InputError(f"--config.seed={overrides['seed']}: a measurement has seeds of its own; leave it out")
        measured = found["get_measurement"]()
        measured = dataclasses.replace(measured, config=fields.override(measured.config, overrides))
        study.measure(measured, name, shlex.join(["python", *sys.argv]), WORKDIR.value, SAVE.value)
    elif "get_config" in found:
        config = found["get_config"]()
        fields.check(config)
        config = fields.override(config, overrides)
        _refuse((SAVE, ARM), f"is for a study, and {CONFIG.value} is one run; leave it out")
        with interruption.listening() as listener:
            from recjax import compiled, cost, experiment  # imports jax, which takes seconds: a typing error should not

            compiled.keep()
            if DRY_RUN.value:
                cost.report(config)
                return
            own: dict[str, Any] = {
                "command": shlex.join(["python", *sys.argv]),
                "board": BOARD.value,
                "profile": PROFILE.value,
            }
            experiment.run(config, name, WORKDIR.value, listener=listener, **own)
    else:
        raise InputError(
            f"{CONFIG.value} defines none of get_config(), get_sweep(), get_study() and get_measurement(); see "
            "experiments/mf.py"
        )


def _sweep(found: dict[str, Any], overrides: dict[str, str], name: str) -> None:
    from recjax.sweeps import space

    if not {"get_sweep", "get_config"} & set(found):
        raise InputError(f"--sweep is for one config, and {CONFIG.value} is none; leave it out")
    _refuse((SAVE, ARM, BOARD, DRY_RUN, PROFILE), "is not for a sweep; leave it out")
    plan = found["get_sweep"]() if "get_sweep" in found else space.Sweep(found["get_config"](), (), 0)
    fields.check(plan.config)
    texts = (*plan.space, *SWEEP.value)
    plan = space.Sweep(fields.override(plan.config, overrides), texts, TRIALS.value or plan.trials)
    parsed = space.parse(texts, plan.config)
    both = sorted(set(parsed.names) & set(overrides))
    if both:
        raise InputError(f"--config.{both[0]}={overrides[both[0]]} and --sweep={both[0]}: leave one of them out")
    space.trials(parsed, plan.config, plan.trials)
    from recjax import compiled
    from recjax.sweeps import engine, executors

    compiled.keep()
    options = executors.Options(
        EXECUTOR.value, PROCESSES.value, PROGRAM.value, MEMORY.value, SEARCH.value, AT_ONCE.value, _slurm()
    )
    rows = engine.run(plan, engine.Command(name, tuple(sys.argv)), WORKDIR.value, options)
    if any(row["status"] != "completed" for row in rows):
        sys.exit(4)


def _slurm() -> tuple[tuple[str, int | str], ...]:
    pairs = [one.partition("=") for one in SLURM.value]
    return tuple((name, int(value) if value.isdecimal() else value) for name, _, value in pairs)


def _load(path: str) -> dict[str, Any]:
    """Runs the file at `path`, from the current folder or from this one."""
    home = pathlib.Path(__file__).parent
    for place in (pathlib.Path(path), home / path):
        if place.is_file():
            return runpy.run_path(str(place))
    files = sorted(file.relative_to(home).as_posix() for file in home.glob("experiments/*.py"))
    raise unknown("experiment file in --config", path, files)


def _overrides(arguments: list[str]) -> dict[str, str]:
    """{"model.hidden": "256,128"} from ["--config.model.hidden=256,128"]."""
    found = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.lstrip("-").startswith("config."):
            raise unknown("flag", name, [*(f"--{flag.name}" for flag in FLAGS), "--config.FIELD", *WORDS])
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
