"""A processor that redacts, stores and forwards, and everything that comes out of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.backend import Backend, backend
from support.planted import dump
from support.processor import Processor

from collector_processor.app.privacy import FILE_NAME
from collector_processor.config.values import KEYS
from collector_processor.guard.privacy import Category, Keyring

TENANT_KEY = "a key that is good enough for tests"


class Protected(NamedTuple):
    """A running processor, and the backend that it forwards to."""

    processor: Processor
    backend: Backend

    def outputs(self) -> Iterator[tuple[str, bytes]]:
        """All that leaves the process: tables, files of the data directory, the backend, log, status, metrics."""
        processor = self.processor
        yield from dump(processor.database_url)
        yield "backend", bytes(self.backend.raw)
        for path in sorted(processor.data_dir.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(processor.data_dir)), path.read_bytes()
        yield "log", processor.log.encode()
        for name, arguments in {"status": ("status",), "status --json": ("status", "--json")}.items():
            yield name, processor.run(*arguments).stdout.encode()
        yield "config", processor.run("config", "show").stdout.encode()
        yield "metrics", processor.admin("/metrics").body
        yield "health", processor.admin("/healthz").body

    def pseudonym(self, value: str, tenant: str | None, category: Category = Category.EMAIL) -> str:
        """What stands for a value, by the key that the processor made for itself."""
        keys = KEYS.read((self.processor.data_dir / FILE_NAME).read_text(encoding="utf-8"))
        assert keys is not None
        return Keyring(dict(keys), current=keys[0][0]).pseudonym(value, category, tenant)


@pytest.fixture
def protected(postgres_url: str, tmp_path: Path) -> Iterator[Callable[..., Protected]]:
    """Start one; `settings` are more of them. Whatever still runs at the end is killed."""
    made: list[Processor] = []
    with backend("grpc") as to:

        def start(**settings: str) -> Protected:
            usual = {
                "GRACE": "100ms",
                "TENANT_KEY": TENANT_KEY,
                "FORWARD_ENDPOINT": to.endpoint,
                "FORWARD_PROTOCOL": to.protocol,
            }
            made.append(Processor(tmp_path / "data", postgres_url, **(usual | settings)))
            return Protected(made[-1].start(), to)

        yield start
        for processor in made:
            processor.abandon()


@pytest.fixture
def careless(tmp_path: Path) -> Callable[..., None]:
    """Run the careless arbiter under a real `opentelemetry-instrument`, with content recorded, to a processor."""

    def run(to: Processor, **planted: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        inherited["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
        module = "careless_arbiter"
        finished = subprocess.run(
            ["opentelemetry-instrument", sys.executable, "-c", f"import {module}; {module}.main()"],
            env={
                **inherited,
                "PYTHONPATH": str(Path(__file__).parent),
                "OTEL_SERVICE_NAME": "arbiter",
                "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={planted['MAIL'].replace('@', '%40')}",
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{to.ready['otlp_http']}",
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
                "OTEL_BENCHMARK_TASK": f"{module}:Arbiter.handle",
                "OTEL_BENCHMARK_ROUTE": f"{module}:Arbiter.route",
                "OTEL_BENCHMARK_EXECUTE": f"{module}:Agent.run",
                "OTEL_BENCHMARK_TOOL": f"{module}:send",
                "OTEL_BENCHMARK_EVALUATE": f"{module}:Arbiter.evaluate",
                **{f"PLANTED_{what}": value for what, value in planted.items()},
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert (finished.returncode, finished.stderr) == (0, "")

    return run
