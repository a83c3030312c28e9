"""A processor that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres import temporary_database
from support.processor import Processor

from collector_processor.store.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def processor(postgres_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    """Takes the task type `airline` beside the known ones, and redacts nothing: runs are compared word for word."""
    data_dir = tmp_path_factory.mktemp("processor") / "data"
    with (
        temporary_database(postgres_server) as url,
        Processor(data_dir, url, TASK_TYPES="airline", PRIVACY="off") as processor,
    ):
        yield processor
