"""Where the units of a sweep run: in this process, in a pool of processes, or under Slurm.

One signature: (units, options, watch) -> what became of trials whose process left no result, by their names. The last
two hand the units to submitit, which pickles them; what they find is in the trials' folders alone.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from recjax import compiled
from recjax.errors import InputError
from recjax.preparation import Prepared
from recjax.sweeps import places, unit
from recjax.sweeps.unit import Unit

EVERY = 0.5  # seconds between looks at jobs
FOREVER, DAY = 60 * 24 * 365, 60 * 24  # minutes
JOBS = "jobs"  # submitit's files, in a sweep's folder


class Options(NamedTuple):
    """How a sweep is run, which changes none of its numbers but in their last bits."""

    executor: str = "here"  # or pool, slurm
    processes: int = 2  # pool, slurm: units at a time
    program: str = "auto"  # or map, vmap
    memory: float = 0.0  # GB of a process; 0: a share of what there is
    search: str = ""  # or optuna
    at_once: int = 4  # points that a search asks for at a time
    slurm: tuple[tuple[str, int | str], ...] = ()  # what submitit's slurm executor is given


@dataclasses.dataclass(frozen=True)
class Work:
    """A unit in a process of its own."""

    unit: Unit
    master: int  # the process without which this one ends; 0: none

    def __call__(self) -> None:
        """Does what of the unit is not done yet."""
        if self.master:
            threading.Thread(target=_follow, args=(self.master,), daemon=True).start()
        compiled.keep()
        left = places.waiting(self.unit.folder, self.unit.trials)
        if left:
            unit.run(self.unit._replace(trials=tuple(left)), lambda ended: None)

    def checkpoint(self) -> Any:
        """What Slurm is to queue again, after it has taken the machine away."""
        from submitit.helpers import DelayedSubmission  # noqa: PLC0415  an extra

        return DelayedSubmission(self)


def here(
    units: Sequence[Unit], options: Options, watch: Callable[[float], None], prepared: Prepared | None
) -> dict[str, str]:
    """One after another in this process.

    Args:
        prepared: of the first trial, where there is one unit.
    """
    lost: dict[str, str] = {}
    before = 0
    for one in units:
        try:
            unit.run(one, functools.partial(_after, watch, before), prepared)
        except Exception as error:
            traceback.print_exc()
            lost |= _lost(one, f"the program failed: {error!r}")
        before += len(one.trials)
        watch(before)
    return lost


def pool(units: Sequence[Unit], options: Options, watch: Callable[[float], None]) -> dict[str, str]:
    """Each in a process on this machine, some at a time."""
    executor = build(units[0].folder / JOBS, options)
    waiting = list(units)
    running: dict[Any, Unit] = {}
    lost: dict[str, str] = {}
    while waiting or running:
        while waiting and len(running) < options.processes:
            one = waiting.pop(0)
            with _importable():
                running[executor.submit(Work(one, os.getpid()))] = one
        for job in list(running):
            if job.done():
                lost |= _ended(job, running.pop(job))
        watch(_count(units))
        time.sleep(EVERY)
    return lost


def slurm(units: Sequence[Unit], options: Options, watch: Callable[[float], None]) -> dict[str, str]:
    """As one array of jobs."""
    executor = build(units[0].folder / JOBS, options)
    with _importable(), executor.batch():
        submitted = [executor.submit(Work(one, 0)) for one in units]
    running: dict[Any, Unit] = dict(zip(submitted, units, strict=True))
    lost: dict[str, str] = {}
    gone = set()
    while running:
        queued = _queued()
        for job in list(running):
            if job.paths.result_pickle.exists() or job in gone:
                lost |= _ended(job, running.pop(job))
            elif queued is not None and job.job_id not in queued:
                gone.add(job)  # a shared file system may show its result a moment later
        watch(_count(units))
        time.sleep(EVERY)
    return lost


def build(place: pathlib.Path, options: Options) -> Any:
    """The executor of submitit that is asked for, with its files in `place`.

    Raises:
        InputError: submitit or Slurm is not there, or does not know what --slurm gives it.
    """
    try:
        import submitit  # noqa: PLC0415  an extra
    except ImportError:
        raise InputError(
            f"--executor={options.executor} needs submitit; type python3 -m pip install 'recjax[slurm]'"
        ) from None
    try:
        executor = submitit.AutoExecutor(place, cluster="local" if options.executor == "pool" else "slurm")
    except RuntimeError as error:
        raise InputError(
            f"--executor={options.executor}: {error}; type --executor=pool, or see docs/sweeps.md"
        ) from None
    given: dict[str, Any] = {"timeout_min": FOREVER}
    if options.executor == "slurm":
        given = {"timeout_min": DAY, "slurm_array_parallelism": options.processes} | dict(options.slurm)
    try:
        executor.update_parameters(**given)
    except (NameError, TypeError, ValueError) as error:
        raise InputError(f"--slurm: {error}; type for example --slurm=timeout_min=60,slurm_partition=gpu") from None
    return executor


def refuse_running(folder: pathlib.Path) -> None:
    """Refuses to go on with a sweep some of whose jobs Slurm still has.

    Raises:
        InputError: there are such jobs.
    """
    submitted = {path.name.removesuffix("_submitted.pkl") for path in (folder / JOBS).glob("*_submitted.pkl")}
    running = sorted(submitted & (_queued() or set())) if submitted and shutil.which("squeue") else []
    if running:
        raise InputError(
            f"Slurm still has jobs {', '.join(running)} of the sweep in {folder}; wait until they have ended, or type "
            f"scancel {' '.join(running)}"
        )


def _ended(job: Any, one: Unit) -> dict[str, str]:
    error = job.paths.stderr
    return _lost(one, f"its process was killed or broke, together with the others of its program; see {error}")


def _lost(one: Unit, why: str) -> dict[str, str]:
    return {trial.name: why for trial in one.trials if places.result(one.folder, trial) is None}


def _after(watch: Callable[[float], None], before: int, ended: int | float) -> None:
    watch(before + ended)


def _count(units: Sequence[Unit]) -> int:
    return sum(places.result(one.folder, trial) is not None for one in units for trial in one.trials)


def _queued() -> set[str] | None:
    """The jobs that Slurm still knows; None where it does not answer."""
    found = subprocess.run(["squeue", "--me", "-h", "-r", "-o", "%i"], capture_output=True, text=True, check=False)
    return None if found.returncode else set(found.stdout.split())


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """New processes find the modules that this one finds: recjax, and a user's own."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(str(pathlib.Path(one).resolve()) for one in sys.path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _follow(master: int) -> None:
    while True:
        try:
            os.kill(master, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(EVERY)
