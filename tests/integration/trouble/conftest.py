"""A processor whose database is on a server of the module's own, which may be treated badly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.postgres import reachable_folder, temporary_database, throwaway_hold
from support.processor import Processor

from collector_processor.store.embedded import EmbeddedServer

IMPATIENT = {
    "GRACE": "100ms",
    "STORE_PAUSE": "100ms",
    "DATABASE_TIMEOUT": "1s",
    "DRAIN_TIMEOUT": "1s",
    "JOURNAL_MAX_BYTES": "1MiB",
    "FALLBACK_AT": "0.02",
}
"""Everything that takes minutes in earnest takes a second, and a journal with a few tasks is filling."""


@pytest.fixture(scope="module")
def own_folder() -> Iterator[Path]:
    """Where the module's own server keeps its cluster."""
    with reachable_folder() as folder:
        yield folder / "postgres"


@pytest.fixture(scope="module")
def own_server(own_folder: Path) -> Iterator[EmbeddedServer]:
    """What is done to it is undone by each test."""
    with throwaway_hold(own_folder) as server:
        yield server


@pytest.fixture
def own_url(own_server: EmbeddedServer) -> Iterator[str]:
    """An empty database of the test's own there."""
    with temporary_database(own_server) as url:
        yield url


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Processor]]:
    """Make a processor on a database, not started; whatever still runs at the end is killed."""
    made: list[Processor] = []

    def new(database_url: str, **settings: str) -> Processor:
        made.append(Processor(tmp_path / "data", database_url, **(IMPATIENT | settings)))
        return made[-1]

    yield new
    for processor in made:
        processor.abandon()
