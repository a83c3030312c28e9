"""A server's program ends when the tests let go of it, and when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from servers.programs import Program, free_ports, listens, running

PATIENCE_SECONDS = 30
# Says its process id, and how it ends.
SERVER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[1])))
print(os.getpid(), flush=True)
while True:
    time.sleep(60)
"""
STARTER = """
import sys
from pathlib import Path
from servers.programs import Program

Program([sys.executable, "-c", sys.argv[1], "0"], log=Path(sys.argv[2]))
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def program(log: Path) -> Iterator[Program]:
    program = Program([sys.executable, "-c", SERVER, "7"], log=log)
    program.wait_until(lambda: said_pid(log) is not None)
    yield program
    program.stop()


def said_pid(log: Path) -> int | None:
    text = log.read_text()
    return int(text) if text.endswith("\n") else None


def test_it_is_asked_to_end_and_tells_how_it_did(program: Program, log: Path) -> None:
    pid = said_pid(log)
    assert pid is not None
    assert psutil.pid_exists(pid)
    assert program.stop() == 7
    assert not psutil.pid_exists(pid)


def test_it_ends_when_its_starter_is_killed(log: Path) -> None:
    tests = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, SERVER, str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tests)},
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        wait_until(lambda: said_pid(log) is not None)
        starter.send_signal(signal.SIGKILL)
    pid = said_pid(log)
    assert pid is not None
    wait_until(lambda: not psutil.pid_exists(pid))


def test_one_that_ends_before_it_is_ready_says_why(log: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"ended with exit status 3:\nno port is free"),
        running(
            [sys.executable, "-c", "import sys; print('no port is free'); sys.exit(3)"], ready=lambda: False, log=log
        ),
    ):
        pass


def test_one_that_a_signal_ended_tells_which(log: Path) -> None:
    program = Program([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], log=log)
    with pytest.raises(RuntimeError, match="ended with exit status 137"):
        program.wait_until(lambda: False)
    assert program.stop() == 137


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert not any(map(listens, ports))


def wait_until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
