"""Web servers with two workers, and their master's SIGTERM: what every worker did arrives, whatever made the worker."""

import signal
import socket
import sys
from collections import Counter
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from support import busy_arbiter
from support.processor import wait_until

from otel_benchmark import attributes as a

SPANS = 4 + busy_arbiter.FOREIGN
WORKERS = 2
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the other platforms don't fork by default")


class Local(HTTPConnection):
    """A connection to a server's socket in a folder, which no port can be in the way of."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(path: Path) -> str:
    connection = Local(path)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "command",
    [
        ("gunicorn", "-w", "2", "-b", "unix:socket", "support.web_arbiter:wsgi"),
        ("gunicorn", "-w", "2", "-b", "unix:socket", "--preload", "support.web_arbiter:wsgi"),
        ("uvicorn", "--workers", "2", "--uds", "socket", "support.web_arbiter:asgi"),
    ],
    ids=["gunicorn", "gunicorn --preload", "uvicorn"],
)
def test_every_workers_tasks_arrive_both_ways_when_the_master_is_stopped(served, http_receiver, tmp_path, command):
    elsewhere, ours = http_receiver(), http_receiver()
    done: list[str] = []

    def both_have_worked() -> bool:
        with suppress(OSError, HTTPException):
            done.append(ask(tmp_path / "socket"))
        return len({task_id.partition("-")[0] for task_id in done}) == WORKERS

    with served(
        *command,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=elsewhere.url,
        OTEL_BENCHMARK_ENDPOINT=ours.url,
        **busy_arbiter.TARGETS,
    ) as server:
        wait_until(both_have_worked)
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=90)
    for receiver in (elsewhere, ours):
        assert Counter(span.attributes[a.TASK_ID] for span in receiver.named("task")) == Counter(done), output
        assert set(Counter(span.span.trace_id for span in receiver.spans).values()) == {SPANS}
