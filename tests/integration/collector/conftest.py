"""Processors at addresses that stay, and Collectors in front of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.collector import Collector, free_address
from support.postgres import temporary_database
from support.processor import Processor

from collector_processor.store.embedded import EmbeddedServer


@pytest.fixture
def new_processor(postgres_server: EmbeddedServer, tmp_path: Path) -> Iterator[Callable[..., Processor]]:
    """Make a processor over a folder and a database of its own, not started; whatever still runs is killed.

    A restart doesn't change its address, which a Collector knows.
    """
    with ExitStack() as stack:

        def make(name: str = "processor", **settings: str) -> Processor:
            url = stack.enter_context(temporary_database(postgres_server))
            here = {"OTLP_GRPC": free_address(), "GRACE": "500ms"}
            processor = Processor(tmp_path / name, url, **(here | settings))
            stack.callback(processor.abandon)
            return processor

        yield make


@pytest.fixture
def new_collector(collector_binary: Path, tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Make a Collector, not started; whatever still runs is killed.

    Arguments as of `Collector`; a processor or Collector among the settings stands for its address.
    """
    with ExitStack() as stack:

        def make(configuration: str, *also: str, **settings: str | Processor | Collector) -> Collector:
            values = {name: _address(value) for name, value in settings.items()}
            collector = Collector(collector_binary, configuration, tmp_path / Path(configuration).stem, *also, **values)
            stack.callback(collector.abandon)
            return collector

        yield make


def _address(value: str | Processor | Collector) -> str:
    match value:
        case Processor():
            return value.environment["COLLECTOR_PROCESSOR_OTLP_GRPC"]
        case Collector():
            return value.addresses["OTLP_GRPC"]
    return value
