"""A run that is killed while it trains, killed again while it is judged, and started a third time. All of it:
benchmarks/kills.py."""

import signal
import time

import jax

from benchmarks import kills
from recjax import configs, experiment

WORLD = configs.World(queries=120, items=120, groups=3, interactions=12)
CONFIG = configs.Config(
    data=configs.Data(world=WORLD),
    model=configs.Model(name="mf", dimension=8),
    train=configs.Train(epochs=2.0, batch=65, block=2, evaluate=0.5, patience=100),
    evaluate=configs.Evaluate(k=(5, 10), pairs=64, rank=4),
    checkpoint=configs.Checkpoint(keep=1),
)
FILE = """
from tests.test_kills import CONFIG

def get_config():
    return CONFIG
"""


def test_a_run_that_was_killed_twice_is_the_run_that_was_not(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    experiment.run(CONFIG, "mine", str(tmp_path / "whole"), lambda text: None)
    killed = tmp_path / "killed"
    for sign in ("checkpoints/*.npz", "parameters.npz"):
        process = kills.start([f"--config={tmp_path / 'mine.py'}"], killed, jax.config.jax_compilation_cache_dir)
        while not list(killed.glob(sign)):
            assert process.poll() is None
            time.sleep(0.005)
        assert not kills.killed(process, 0.0) or process.returncode == -signal.SIGKILL
        assert kills.unreadable(killed) == []
        assert not (killed / "result.json").exists()
    told = kills.finish(kills.start([f"--config={tmp_path / 'mine.py'}"], killed, jax.config.jax_compilation_cache_dir))
    assert "goes on after step" in told
    assert kills.left(killed) == kills.left(tmp_path / "whole")
    assert not list(killed.rglob("*.partial"))
