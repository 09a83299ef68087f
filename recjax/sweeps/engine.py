"""A sweep from its space to its table: what is to be run, where, and what came of it."""

import collections
import dataclasses
import pathlib
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from recjax import configs, experiment, preparation, reports, resume
from recjax.errors import InputError
from recjax.pages import several
from recjax.preparation import Prepared
from recjax.sweeps import executors, groups, memory, places, search, space, unit
from recjax.sweeps.executors import Options
from recjax.sweeps.space import Sweep, Trial
from recjax.sweeps.unit import Unit

_FORMAT = "{n:.1f} of {total_fmt} trials |{bar:20}| {remaining} left{postfix}"


class Command(NamedTuple):
    """How a sweep was called."""

    name: str  # of the experiment
    arguments: tuple[str, ...]  # of the sweep, after python


def run(
    sweep: Sweep, command: Command, workdir: str | None, options: Options, echo: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Runs what is not done yet of a sweep's trials, and writes sweep.json, trials.csv and report.html.

    Args:
        workdir: the sweep's folder: a new one, or that of the same sweep, which goes on.

    Returns:
        the trials, as in sweep.json.

    Raises:
        InputError: before anything is run.
    """
    parsed = space.parse(sweep.space, sweep.config)
    trials = space.trials(parsed, sweep.config, sweep.trials)
    if options.search:
        search.check(sweep.config, parsed)
        trials = space.trials(parsed, sweep.config, 1)  # any will do to be tried beforehand
    prepared = check(trials, options)
    identity = places.identity(command.name, sweep.config, sweep.space, sweep.trials, options.search)
    folder = places.open_sweep(workdir, command.name, identity)
    with resume.alone(folder):
        executors.refuse_running(folder)
        head = _head(sweep, command, parsed, identity)
        lost: dict[str, str] = {}

        def train(known: Sequence[Trial], some: Sequence[Trial]) -> None:
            todo = places.waiting(folder, some)
            places.write(folder, head, places.rows(folder, known, lost))
            most = len(some) if options.executor == "here" else -(-len(some) // options.processes)
            echo(f"{len(some)} trials, {len(todo)} to run, {len(groups.group(todo, most))} programs -> {folder}")
            lost.update(_run(folder, command.name, todo, most, options, prepared))

        if options.search:
            trials = search.run(folder, sweep.config, parsed, sweep.trials, options.at_once, train)
        else:
            train(trials, trials)
        rows = places.rows(folder, trials, lost)
        places.write(folder, head, rows)
        report(folder, rows, parsed, sweep.config, command, echo)
        if any(row["status"] == "completed" for row in rows):
            several.write(folder)
        return rows


def check(trials: Sequence[Trial], options: Options) -> Prepared | None:
    """Tries everything that bad input could break, in every trial.

    Returns:
        the first trial's, where all trials are of one program that runs here.

    Raises:
        InputError: what was given, what was wanted, what to type.
    """
    if options.slurm and options.executor != "slurm":
        raise InputError(f"--slurm is given and --executor={options.executor}; type --executor=slurm")
    if options.executor != "here":
        with tempfile.TemporaryDirectory() as place:
            executors.build(pathlib.Path(place), options)
    loaded: dict[configs.Data, Any] = {}
    together, budget, prepared = groups.group(trials, len(trials)), memory.budget(options.memory), None
    for some in together:
        first = some[0].config
        if first.data not in loaded:
            loaded[first.data] = preparation.load(first)
        if memory.least(first, loaded[first.data][1].train) > budget:
            continue  # its trials will be reported; to prepare them would need that memory
        prepared = preparation.prepare(first, loaded[first.data])
        for trial in groups.unlike(some):
            prepared.start.begin(trial.config)
    if prepared is None or len(together) > 1 or options.executor != "here":
        return None
    return unit.idle(prepared)


def _run(
    folder: Any, name: str, trials: Sequence[Trial], most: int, options: Options, prepared: Prepared | None
) -> dict[str, str]:
    """What became of trials that left no result, by name."""
    if not trials:
        return {}
    units = [Unit(name, folder, tuple(some), options.program, options.memory) for some in groups.group(trials, most)]
    # As of a single run: on a terminal it moves, in a log file there is none.
    with tqdm(total=len(trials), disable=not sys.stderr.isatty(), bar_format=_FORMAT, dynamic_ncols=True) as bar:

        def watch(ended: int | float) -> None:
            if bar.disable:
                return
            known = [places.result(folder, trial) for trial in trials]
            failed = sum(one is not None and one["status"] == "failed" for one in known)
            bar.set_postfix_str(f"{failed} failed", refresh=False)
            bar.update(ended - bar.n)

        if options.executor == "here":
            return executors.here(units, options, watch, prepared)
        return {"pool": executors.pool, "slurm": executors.slurm}[options.executor](units, options, watch)


def _head(sweep: Sweep, command: Command, parsed: space.Space, identity: dict[str, Any]) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", *command.arguments]),
        "experiment": command.name,
        "config": dataclasses.asdict(sweep.config),
        "fields": list(parsed.names),
        "identity": identity,
        "environment": experiment.environment(),
    }


def report(
    folder: Any,
    rows: Sequence[dict[str, Any]],
    parsed: space.Space,
    config: configs.Config,
    command: Command,
    echo: Callable[[str], None],
) -> None:
    """Tells the table, the best trial on validation with its command, and the failures."""
    done = [(row, places.result(folder, space.Trial(row["name"], {}, config))) for row in rows]
    found = [(row, known) for row, known in done if known is not None and row["status"] == "completed"]
    if found:
        selects = {next((one for one in run["metrics"] if one.startswith("validation_")), "") for _, run in found}
        select = selects.pop() if len(selects) == 1 else ""  # trials that were chosen otherwise have no order
        names = ([select] if select else []) + reports.columns(found[0][1]["metrics"])
        echo(reports.summary(table(found, rows, parsed.names, names), names))
    if found and select:
        best, known = max(found, key=lambda one: one[1]["metrics"][select])
        value = reports.number(known["metrics"][select])
        echo(f"best on validation: trial {best['name']}, {select} {value}\n  {known['command']}")
    failed = [row for row in rows if row["status"] != "completed"]
    echo(f"{len(found)} of {len(rows)} trials completed; {folder / places.TABLE}")
    reasons: dict[str, list[str]] = {}
    for row in failed:
        reasons.setdefault(str(row["error"]), []).append(row["name"])
    for reason, together in reasons.items():
        echo(f"failed: trial{'s' * (len(together) > 1)} {', '.join(together)}: {reason}")


def table(
    found: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    every: Sequence[dict[str, Any]],
    swept: Sequence[str],
    names: Sequence[str],
) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation of each metric over the trials that differ in their seed alone.

    A row of which a trial has no result says of how many it is: those that survive may be the lucky ones.
    """

    def alike(row: dict[str, Any]) -> str:
        return ", ".join(f"{one.split('.')[-1]} {row['overrides'][one]}" for one in swept if one != "seed")

    together: dict[str, list[dict[str, float]]] = {}
    for row, known in found:
        together.setdefault(alike(row), []).append(known["metrics"])
    count = collections.Counter(map(alike, every))
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for same, metrics in together.items():
        label = (same or "every seed") + f" ({len(metrics)} of {count[same]})" * (len(metrics) < count[same])
        rows[label] = {}
        for one in names:
            values = [known[one] for known in metrics if one in known]
            if values:
                sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
                rows[label][one] = {"mean": float(np.mean(values)), "sd": sd}
    return rows
