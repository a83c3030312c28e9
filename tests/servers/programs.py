"""A server's program while tests use it: started, awaited, and gone when the tests are, also when they are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

_KEEPER = Path(__file__).with_name("keeper.py")
_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.05
_SHOWN_BYTES = 4000


class Program:
    """A running program under a keeper, which ends it when this process closes it or dies."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        end: signal.Signals = signal.SIGTERM,
        account: str = "",
    ) -> None:
        """Start it.

        Args:
            command: program and arguments.
            log: file that what it writes is appended to.
            environment: variables over those of this process.
            cwd: folder it runs in.
            end: the signal that asks it to end.
            account: `UID:GID` of whom it runs as, where this process is root.
        """
        self.log = log
        self._name = Path(command[0]).name
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(int(end)), account, *map(str, command)],
                env={**os.environ, **(environment or {})},
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the tests, which then let go of it
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Come back when `ready` says so, which may raise OSError until then.

        Raises:
            RuntimeError: it ended, or isn't ready after a minute; the message ends with what it wrote last.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if ready():
                    return
            if self.ended:
                raise RuntimeError(f"{self._name} ended with exit status {self._keeper.returncode}:\n{self.said()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._name} isn't ready after {_PATIENCE_SECONDS:.0f} s:\n{self.said()}")
            time.sleep(_POLL_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether it has, by itself or asked."""
        return self._keeper.poll() is not None

    @property
    def pid(self) -> int:
        """Of the program itself, while it runs."""
        return int(psutil.Process(self._keeper.pid).children()[0].pid)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace")

    def stop(self) -> int:
        """Ask it to end and wait until it has; returns its exit status."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        return self._keeper.wait()

    def kill(self) -> int:
        """End it by SIGKILL, before it knows; returns its exit status."""
        assert self._keeper.stdin is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            for program in psutil.Process(self._keeper.pid).children():
                program.kill()
        # Whom the keeper starts only now ends by this.
        self._keeper.stdin.close()
        return self._keeper.wait()


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready: Callable[[], bool],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """A program that is ready, for a block. Arguments as of `Program` and `Program.wait_until`."""
    program = Program(command, log=log, environment=environment)
    try:
        program.wait_until(ready)
        yield program
    finally:
        program.stop()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on at this moment."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def listens(port: int) -> bool:
    """Whether somebody does on this port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
