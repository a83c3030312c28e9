"""Processors that are killed, and one that nothing is done to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.crashing import MortalProcessor
from support.postgres import temporary_database
from support.processor import Processor

from collector_processor.store.embedded import EmbeddedServer


@pytest.fixture
def mortal(postgres_url: str, tmp_path: Path) -> Iterator[Callable[..., MortalProcessor]]:
    """Make a processor of two workers, not started; what still runs of it is killed."""
    made: list[MortalProcessor] = []

    def make(database_url: str = postgres_url, **settings: str) -> MortalProcessor:
        settings = {"GRACE": "100ms", "WORKERS": "2"} | settings
        made.append(MortalProcessor(tmp_path / "data", database_url, tmp_path / "points", **settings))
        return made[-1]

    yield make
    for processor in made:
        processor.abandon()


@pytest.fixture
def reference(postgres_server: EmbeddedServer, tmp_path: Path) -> Iterator[Processor]:
    """A processor that has no trouble."""
    with (
        temporary_database(postgres_server) as url,
        Processor(tmp_path / "reference", url, GRACE="100ms") as processor,
    ):
        yield processor
