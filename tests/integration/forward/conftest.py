"""Processors that forward, each over a database of its own, and the backends that they forward to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.backend import Backend, backend
from support.processor import Processor

TENANT_KEY = "a key that is good enough for tests"


@pytest.fixture(params=["grpc", "http/protobuf"])
def any_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    with backend(request.param) as running:
        yield running


@pytest.fixture
def grpc_backend() -> Iterator[Backend]:
    with backend("grpc") as running:
        yield running


@pytest.fixture
def forwarding(postgres_url: str, tmp_path: Path) -> Iterator[Callable[..., Processor]]:
    """Start a processor that forwards to a backend; `more` are settings. Whatever still runs at the end is killed."""
    made: list[Processor] = []

    def start(to: Backend, **more: str) -> Processor:
        settings = {
            "GRACE": "100ms",
            "TENANT_KEY": TENANT_KEY,
            "FORWARD_ENDPOINT": to.endpoint,
            "FORWARD_PROTOCOL": to.protocol,
        }
        processor = Processor(tmp_path / "data", postgres_url, **(settings | more))
        made.append(processor)
        processor.start()
        processor.wait_for(lambda status: status.forward is None or status.forward.problem is None)
        return processor

    yield start
    for processor in made:
        processor.abandon()
