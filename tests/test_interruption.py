"""Signals: heard at once, or after what must come to an end; and Slurm."""

import os
import signal

import pytest

from recjax import interruption
from recjax.errors import Interrupted


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_a_signal_interrupts_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=number.name), interruption.listening() as listener:
        signal.raise_signal(number)
        raise AssertionError("it went on")
    assert listener.heard == number.name
    assert signal.getsignal(number) == before


def test_what_must_come_to_an_end_does():
    done = []
    with pytest.raises(Interrupted, match="SIGTERM"), interruption.listening() as listener, listener.waiting():
        assert not listener()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGUSR1)
        done.append(listener())
    assert done == [True]


def test_a_second_signal_does_not_disturb_the_way_out():
    with interruption.listening() as listener:
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert listener.heard == "SIGTERM"


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """Puts a scontrol on the path that notes what it was called with."""

    def make(status=0):
        script = tmp_path / "scontrol"
        script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\necho "held" >&2\nexit {status}\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return make


def test_slurm_is_asked_for_its_job(scontrol, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert interruption.requeue() == ""
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interruption.requeue().startswith("scontrol requeue 42 could not be run: ")
    monkeypatch.setenv("PATH", os.defpath)
    scontrol()
    assert interruption.requeue() == "scontrol requeue 42: done"
    scontrol(status=1)
    assert interruption.requeue() == "scontrol requeue 42: held"
    assert (tmp_path / "called").read_text() == "requeue 42\n" * 2
