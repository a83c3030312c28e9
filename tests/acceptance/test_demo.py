"""`otel-benchmark demo` keeps what the README promises of it, and leaves nothing behind however it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

TASKS = 40


class Demo:
    """A demonstration as its user sees it: lines on stdout, and what it started."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "collector_processor.cli", "demo", "--tasks", str(TASKS), *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.output = ""

    def read_until(self, marker: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if marker in line:
                return line
        raise AssertionError(f"ended without {marker!r}: {self.output}{self.finish()}")

    def finish(self) -> str:
        """Wait for the end; what stands on stderr."""
        rest, errors = self.process.communicate(timeout=90)
        self.output += rest
        return errors

    @property
    def folder(self) -> Path:
        found = re.search(r"data in (\S+)", self.output)
        assert found
        return Path(found[1])

    def offspring(self) -> set[psutil.Process]:
        """Its descendants, and the database, which is nobody's child."""
        descendants = psutil.Process(self.process.pid).children(recursive=True)
        return {*descendants, *(each for each in psutil.process_iter() if self._serves(each))}

    def _serves(self, process: psutil.Process) -> bool:
        try:
            return any(str(self.folder) in word for word in process.cmdline())
        except psutil.Error:
            return False

    def leaves_nothing(self, started: set[psutil.Process]) -> None:
        _, alive = psutil.wait_procs(started, timeout=10)
        assert alive == []
        assert not [each for each in psutil.process_iter() if self._serves(each)]
        assert not self.folder.exists()


@pytest.fixture
def start() -> Iterator[type[Demo]]:
    demos: list[Demo] = []

    class Started(Demo):
        def __init__(self, *arguments: str) -> None:
            super().__init__(*arguments)
            demos.append(self)

    yield Started
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGINT)
            demo.finish()


def test_every_task_becomes_a_data_point_to_query(start: type[Demo]) -> None:
    demo = start("--keep")
    demo.read_until("until Ctrl-C")
    sent = re.search(r"^sent +(\d+), (\d+) of them sub-tasks$", demo.output, re.MULTILINE)
    stored = re.search(r"^stored +(\d+) data points$", demo.output, re.MULTILINE)
    assert sent
    assert stored
    assert int(sent[1]) == int(stored[1]) == TASKS + int(sent[2])
    assert int(sent[2]) > 0
    assert "promised: below 50 ms" in demo.output
    assert '"convention": "arbiter"' in demo.output
    for facet in ("ast", "conversation", "reflection"):
        looked_at = re.search(rf"^{facet} +(\d+) ", demo.output, re.MULTILINE)
        assert looked_at
        assert int(looked_at[1]) > 0
    for agent in ("mender", "rewriter", "sprinter", "analyst"):
        assert len(re.findall(rf"^{agent} ", demo.output, re.MULTILINE)) == 2, "once in each table"

    command = [sys.executable, "-m", "collector_processor.cli", "database", "url"]
    environment = {"COLLECTOR_PROCESSOR_DATA_DIR": str(demo.folder)}
    url = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    with psycopg.connect(url.strip()) as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE rl_ready), count(DISTINCT agent_id), count(DISTINCT tenant_id),"
            " count(*) FILTER (WHERE record #>> '{provenance,overheadMs}' IS NULL) FROM benchmark.data_points"
        ).fetchone()
        assert row is not None
        points, ready, agents, tenants, unmeasured = row
        assert points == int(sent[1])
        assert ready / points > 0.9
        assert (agents, tenants, unmeasured) == (4, 3, 0)
        orphans = connection.execute("SELECT count(*) FROM benchmark.orphans").fetchone()
        assert orphans == (0,)

    started = demo.offspring()
    assert len(started) > 2, "processor, worker and database"
    demo.process.send_signal(signal.SIGINT)
    assert demo.finish() == ""
    assert demo.process.returncode == 130
    demo.leaves_nothing(started)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_work_it_leaves_nothing(start: type[Demo], ending: signal.Signals) -> None:
    demo = start()
    demo.read_until("receiving OTLP")
    started = demo.offspring()
    assert started
    demo.process.send_signal(ending)
    assert demo.finish() == ""
    assert demo.process.returncode == 130
    demo.leaves_nothing(started)
