"""A processor that a module's tests share, and one of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.postgres import temporary_database
from support.processor import Processor

from collector_processor.store.embedded import EmbeddedServer

TENANT_KEY = "a key that is good enough for tests"


@pytest.fixture(scope="module")
def processor(postgres_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    """Closes a task a second after its span; what it holds of others is theirs."""
    data_dir = tmp_path_factory.mktemp("processor") / "data"
    with (
        temporary_database(postgres_server) as url,
        Processor(data_dir, url, TENANT_KEY=TENANT_KEY) as processor,
    ):
        yield processor


@pytest.fixture
def new_processor(postgres_url: str, tmp_path: Path) -> Iterator[Callable[..., Processor]]:
    """Make a processor over the test's own folder and database, not started; whatever still runs is killed."""
    made: list[Processor] = []

    def make(database_url: str = postgres_url, **settings: str) -> Processor:
        made.append(Processor(tmp_path / "data", database_url, **({"GRACE": "100ms"} | settings)))
        return made[-1]

    yield make
    for processor in made:
        processor.abandon()
