"""How a run is asked to stop for a while, by SIGTERM or SIGUSR1, and how it asks Slurm to be started again."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator

from recjax.errors import Interrupted

EXIT = os.EX_TEMPFAIL  # 75: what failed may succeed when it is tried again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Listener:
    """Hears the signals of this process: `Interrupted` is raised at once, or after what must come to an end first."""

    def __init__(self) -> None:
        self.heard = ""  # the first signal's name
        self._waiting = False

    def __call__(self) -> bool:
        """Whether one was heard."""
        return bool(self.heard)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, signals are only heard; whoever is inside looks, and stops when it can.

        Raises:
            Interrupted: afterwards, if one was heard.
        """
        self._waiting = True
        try:
            yield
        except Interrupted:
            raise Interrupted(self.heard) from None
        finally:
            self._waiting = False
        if self.heard:
            raise Interrupted(self.heard)

    def hear(self, number: int, frame: object) -> None:
        """A handler of signals. A second one changes nothing: the process is on its way out."""
        if not self.heard:
            self.heard = signal.Signals(number).name
            if not self._waiting:
                raise Interrupted(self.heard)


@contextlib.contextmanager
def listening() -> Iterator[Listener]:
    """Hears signals inside; afterwards they do what they did before."""
    listener = Listener()
    before = {one: signal.signal(one, listener.hear) for one in SIGNALS}
    try:
        yield listener
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def requeue() -> str:
    """Asks Slurm to start this job again, where this is a job of Slurm; tells what came of it, or nothing."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return ""
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"scontrol requeue {job} could not be run: {error}"
    return f"scontrol requeue {job}: " + (
        done.stderr.strip() or f"status {done.returncode}" if done.returncode else "done"
    )
