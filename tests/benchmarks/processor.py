"""A real processor for benchmarks of the whole path: started, sent to, and what its processes have spent so far."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

CONNECTIONS: Final = 4
_MODULES: Final = {
    "workers": "collector_processor.app.storing.worker",
    "analysts": "collector_processor.app.analysing.analyst",
    "forwarder": "collector_processor.app.forwarding.forwarder",
}


class Cpu(NamedTuple):
    """CPU seconds so far, by what runs; `others` are what the front has started beside workers: analysts."""

    front: float
    workers: float
    others: float
    postgres: float

    @property
    def ours(self) -> float:
        """Of the processor's own processes."""
        return self.front + self.workers + self.others

    def since(self, earlier: Cpu) -> Cpu:
        """What was spent between two moments."""
        return Cpu(*(now - then for now, then in zip(self, earlier, strict=True)))


class Running(NamedTuple):
    """A processor that is ready: its front, its data folder and the ports of the loopback address it listens on."""

    front: psutil.Process
    folder: Path
    otlp: int
    admin: int

    def cpu(self) -> Cpu:
        """Ask the operating system; a process that has ended is charged to the one that had started it."""
        parts = self.parts()
        ended = spent(self.front, ended=True) - spent(self.front)
        database, *backends = parts["postgres"]
        return Cpu(
            spent(self.front),
            sum(map(spent, parts["workers"])),
            ended + sum(spent(process) for part in ("analysts", "forwarder", "others") for process in parts[part]),
            spent(database, ended=True) + sum(map(spent, backends)),
        )

    def processes(self) -> list[psutil.Process]:
        """All of the processor's own."""
        return [process for part, members in self.parts().items() if part != "postgres" for process in members]

    def parts(self) -> dict[str, list[psutil.Process]]:
        """What runs, by its part: the front, what it has started, and PostgreSQL, its postmaster first."""
        database = psutil.Process(int((self.folder / "database/cluster/postmaster.pid").read_text().split()[0]))
        found: dict[str, list[psutil.Process]] = {name: [] for name in ("front", *_MODULES, "others", "postgres")}
        found["front"].append(self.front)
        found["postgres"] += [database, *database.children()]
        for child in self.front.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended since it was listed
                if child != database:
                    command = child.cmdline()
                    part = next((name for name, module in _MODULES.items() if module in command), "others")
                    found[part].append(child)
        return found

    def stages(self) -> dict[str, float]:
        """Seconds of the worker so far by stage, as it tells; storing includes the wait for PostgreSQL."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin)
        connection.request("GET", "/metrics")
        told = connection.getresponse().read().decode()
        connection.close()
        found = re.findall(r'batch_duration_seconds_sum{stage="(\w+)"} (\S+)', told)
        return {name: float(seconds) for name, seconds in found}


def spent(process: psutil.Process, *, ended: bool = False) -> float:
    """CPU seconds of a process; with `ended` those of its children that are no more, too."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # charged to the one that had started it
        return 0.0
    return times.user + times.system + (times.children_user + times.children_system if ended else 0.0)


def send(port: int, bodies: Sequence[bytes]) -> None:
    """Post every body over a few connections and wait until each is acknowledged."""
    shares = [bodies[start::CONNECTIONS] for start in range(CONNECTIONS)]
    errors: list[str] = []

    def post(share: Sequence[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for body in share:
            connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            if answer.status != 200:
                errors.append(f"{answer.status} {answer.read()!r}")
                return
            answer.read()
        connection.close()

    threads = [threading.Thread(target=post, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise SystemExit(errors[0])


@contextmanager
def serve(folder: Path, **settings: str) -> Iterator[Running]:
    """A processor of its own for a block; `settings` by their short names."""
    environment = os.environ | {
        "COLLECTOR_PROCESSOR_DATA_DIR": str(folder),
        "COLLECTOR_PROCESSOR_OTLP_GRPC": "",
        "COLLECTOR_PROCESSOR_OTLP_HTTP": "127.0.0.1:0",
        "COLLECTOR_PROCESSOR_ADMIN": "127.0.0.1:0",
        "COLLECTOR_PROCESSOR_FLUSH_RECORDS": "1000",
        # A flush waits for all that was sent.
        "COLLECTOR_PROCESSOR_DRAIN_TIMEOUT": "10m",
        "COLLECTOR_PROCESSOR_LOG_LEVEL": "warning",
        **{f"COLLECTOR_PROCESSOR_{name}": value for name, value in settings.items()},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "collector_processor.cli", "serve"], stdout=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Running(psutil.Process(process.pid), folder, _port(ready["otlp_http"]), _port(ready["admin"]))
    finally:
        process.terminate()
        process.wait(60)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
