"""Spans of a test, in memory, modules to wrap, and an HTTP receiver."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_benchmark import lifecycle, runtime
from otel_benchmark.environment import Settings, Target
from otel_benchmark.patches import Patches
from otel_benchmark.runtime import RUNTIME
from otel_benchmark.tasks import KNOWN_TASKS
from otel_benchmark.vocabulary import SECTIONS


class Telemetry:
    """What the plugin emitted."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def use(self, settings: Settings | None = None, provider: TracerProvider | None = None) -> None:
        RUNTIME.configure(settings or Settings(), provider or self.provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def one(self, word: str) -> ReadableSpan:
        found = [span for span in self.spans if span.name.split(" ")[0] == word]
        assert len(found) == 1, f"{len(found)} spans {word} in {self.names}"
        return found[0]

    def attributes(self, word: str) -> dict[str, Any]:
        return dict(self.one(word).attributes or {})


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    telemetry.use()
    before = context.get_current()
    lifecycle._warned.clear()
    runtime._reported.clear()
    yield telemetry
    assert context.get_current() is before, "a span's context was left behind"
    assert not runtime._reported, "the plugin reported an error of its own"
    KNOWN_TASKS._tasks.clear()
    RUNTIME.configure()


class Http:
    """Answers as it is told, and keeps the paths and headers of what it was sent."""

    status, body, hangs_up = 200, b"", False
    retry_after = ""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                if outer.hangs_up:
                    self.close_connection = True
                    return
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                if outer.retry_after:
                    self.send_header("Retry-After", outer.retry_after)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def http() -> Iterator[Http]:
    server = Http()
    yield server
    server.close()


@pytest.fixture
def host() -> Iterator[Callable[..., ModuleType]]:
    """Makes a module from source and wraps the targets in it, named by span: `host(source, task="f")`."""
    undo: list[Patches] = []

    def make(source: str, **targets: str) -> ModuleType:
        module = ModuleType("host")
        exec(textwrap.dedent(source), module.__dict__)
        patches = Patches()
        undo.append(patches)
        for section, path in targets.items():
            patches.apply(Target(SECTIONS[section], "host", path), module)
        module.__dict__["patches"] = patches
        return module

    yield make
    for patches in undo:
        patches.undo()
