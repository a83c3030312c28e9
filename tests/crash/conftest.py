"""Processors that are killed, and one that nothing is done to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import support
from support.accounts import Reference
from support.crashing import MortalProcessor
from support.postgres import temporary_database
from support.processor import Processor

from collector_processor.store.embedded import EmbeddedServer

SAMPLING = str(Path(support.__file__).with_name("quarter_sampling.toml"))


@pytest.fixture
def mortal(postgres_url: str, tmp_path: Path) -> Iterator[Callable[..., MortalProcessor]]:
    """Make a processor of two workers, not started; what still runs of it is killed."""
    made: list[MortalProcessor] = []

    def make(database_url: str = postgres_url, **settings: str) -> MortalProcessor:
        settings = {"GRACE": "100ms", "WORKERS": "2", "SAMPLING": SAMPLING} | settings
        made.append(MortalProcessor(tmp_path / "data", database_url, tmp_path / "points", **settings))
        return made[-1]

    yield make
    for processor in made:
        processor.abandon()


@pytest.fixture(scope="module")
def reference(postgres_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """One that has no trouble, for all tests of a module."""
    folder = tmp_path_factory.mktemp("reference")
    with (
        temporary_database(postgres_server) as url,
        Processor(folder / "data", url, GRACE="100ms", SAMPLING=SAMPLING) as processor,
    ):
        yield Reference(processor)
