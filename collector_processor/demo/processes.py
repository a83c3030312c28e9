"""The demonstration's child processes: the processor with its commands, and the arbiter.

Each child leads a session of its own: Ctrl-C reaches only the demonstration, which then ends its children in order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from collector_processor.demo.environment import ARBITER, SAMPLING
from collector_processor.errors import DemoError

START_TIMEOUT_S = 90.0
"""The first start makes a database; a slow disk is forgiven."""
COMMAND_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
"""More than the processor's own DRAIN_TIMEOUT."""
LAST_LINES = 8

Event = Mapping[str, Any]


class Processor:
    """A processor over a data directory, from start to stop; its log is `processor.log` in that directory.

    With `forward`, an OTLP endpoint, it forwards traces.
    """

    def __init__(self, data_dir: Path, base: Mapping[str, str], tenant_key: str, forward: str | None = None) -> None:
        kept = {name: value for name, value in base.items() if not name.startswith("COLLECTOR_PROCESSOR_")}
        settings = {
            "DATA_DIR": str(data_dir),
            "GRACE": "1s",
            "FLUSH_INTERVAL": "1s",
            "OTLP_GRPC": "127.0.0.1:0",
            "OTLP_HTTP": "127.0.0.1:0",
            "ADMIN": "127.0.0.1:0",
            "TENANT_KEY": tenant_key,
            "FORWARD_ENDPOINT": forward or "",
            "SAMPLING": str(SAMPLING),
        }
        self.environment = kept | {f"COLLECTOR_PROCESSOR_{name}": value for name, value in settings.items()}
        self.ready: Event = {}
        self._log = data_dir / "processor.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Come back when the processor receives.

        Raises:
            DemoError: it ended, or isn't ready in time; with the last lines of its log.
        """
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own command
                _command("serve"),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        # A pipe has no timeout: whoever waits too long ends the process, and the line is then empty.
        timer = threading.Timer(START_TIMEOUT_S, self._process.kill)
        timer.start()
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self.stop()
            raise DemoError(f"the processor did not start: {self.last_words()}")
        self.ready = json.loads(line)
        return self

    def command(self, *arguments: str) -> str:
        """Run an `otel-benchmark` command on this processor; return what it prints.

        Raises:
            DemoError: it failed; with what it said.
        """
        done = subprocess.run(  # noqa: S603  our own command
            _command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"otel-benchmark {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def status(self) -> Mapping[str, Any]:
        """What it says of itself."""
        status: Mapping[str, Any] = json.loads(self.command("status", "--json"))
        return status

    def on_its_way(self) -> int:
        """How many spans, tasks and deep samples are received, or kept, and not yet stored."""
        status = self.status()
        place = status["place"]
        return int(place["open_spans"] + place["closed_tasks"] + place["sealed_tasks"] + status["analysis"]["pending"])

    def wait(self) -> None:
        """Come back when the processor has ended by itself."""
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """End the processor, and what it started; kill what doesn't end."""
        if self._process is not None:
            end(self._process)

    def last_words(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(encoding="utf-8").strip().splitlines()
        return "\n".join(lines[-LAST_LINES:]) or f"it said nothing; see {self._log}"


@contextmanager
def arbiter(tasks: int, seed: int, environment: Mapping[str, str], *, instrumented: bool) -> Iterator[Iterator[Event]]:
    """Run the arbiter, under `opentelemetry-instrument` or bare, until the context is left.

    Gives the events that it reports; after the last one DemoError with its last words, if it failed.
    """
    run = [sys.executable, "-m", ARBITER, "--tasks", str(tasks), "--seed", str(seed), "--json"]
    if instrumented:
        run.insert(0, str(Path(sysconfig.get_path("scripts")) / "opentelemetry-instrument"))
    process = subprocess.Popen(  # noqa: S603  our own command
        run,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    listener = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
    listener.start()
    try:
        yield _events(process, said, listener)
    finally:
        end(process)
        listener.join()


def _events(process: subprocess.Popen[str], said: Sequence[str], listener: threading.Thread) -> Iterator[Event]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)
    # Its last spans leave while it ends.
    if process.wait(timeout=STOP_TIMEOUT_S):
        listener.join()
        raise DemoError(f"the arbiter failed: {''.join(said[-LAST_LINES:]).strip()}")


def end(process: subprocess.Popen[str]) -> None:
    """End a child politely, else with its whole session. An impatient second Ctrl-C doesn't stop us half-way."""
    main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if main_thread else None
    try:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    finally:
        if main_thread:
            signal.signal(signal.SIGINT, previous)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "collector_processor.cli", *arguments]
