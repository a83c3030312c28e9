"""A processor that a module's tests share, and one of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lifecycle import evaluation, execution, route, task, tool_call
from support.postgres import temporary_database
from support.processor import Processor, fact_spans, own

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


@pytest.fixture
def good_neighbour(processor: Processor) -> Iterator[None]:
    """A good task that is there meanwhile: in the end it is whole, and every span is in exactly one place."""
    good = own(task(), route(), execution(), tool_call(), evaluation())
    processor.send(*good.spans[1:3])
    yield
    processor.send(*good.spans[3:], good.spans[0])
    processor.flush()
    record = processor.record(good.task_id)
    assert fact_spans(record) == {each.span_id.hex() for each in good.spans}
    assert record["verdict"]["valid"]
    processor.assert_balanced()
