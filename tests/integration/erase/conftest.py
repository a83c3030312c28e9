"""A processor of a test's own, over a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.processor import Processor

TENANT_KEY = "a key that is good enough for tests"


@pytest.fixture
def make(postgres_url: str, tmp_path: Path) -> Iterator[Callable[..., Processor]]:
    """Make a processor, not started; whatever still runs at the end is killed."""
    made: list[Processor] = []

    def new(**settings: str) -> Processor:
        given = {"GRACE": "100ms", "TENANT_KEY": TENANT_KEY} | settings
        made.append(Processor(tmp_path / "data", postgres_url, **given))
        return made[-1]

    yield new
    for processor in made:
        processor.abandon()


@pytest.fixture
def processor(make: Callable[..., Processor]) -> Iterator[Processor]:
    """Closes a task a tenth of a second after its span."""
    with make() as processor:
        yield processor
