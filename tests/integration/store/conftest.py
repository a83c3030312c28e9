"""A migrated database for each test, copied from one that was migrated once, and a store on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import dict_row
from support.postgres import temporary_database
from support.store import Rows, opened

from collector_processor.store.embedded import EmbeddedServer
from collector_processor.store.migrations import migrate
from collector_processor.store.postgres import PostgresStore

_T = TypeVar("_T")
Run = Callable[[Coroutine[Any, Any, _T]], _T]


@pytest.fixture(scope="session")
def migrated(postgres_server: EmbeddedServer) -> Iterator[str]:
    """Name of a database that is only copied."""
    with temporary_database(postgres_server) as url:
        asyncio.run(migrate(url))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def url(postgres_server: EmbeddedServer, migrated: str) -> Iterator[str]:
    """URL of a migrated database of the test's own."""
    with temporary_database(postgres_server, template=migrated) as found:
        yield found


@pytest.fixture
def run() -> Iterator[Run[Any]]:
    """Runs a coroutine to its end; all of a test's run in one event loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def store(run: Run[Any], url: str) -> Iterator[PostgresStore]:
    """A store on the test's database."""
    manager = opened(url)
    yield run(manager.__aenter__())
    run(manager.__aexit__(None, None, None))


@pytest.fixture
def rows(url: str) -> Rows:
    """Asks the database as its owner: (query, parameters) → rows as dictionaries."""

    def ask(query: str, parameters: Any = None) -> list[dict[str, Any]]:
        with psycopg.connect(url, row_factory=dict_row) as connection:
            return connection.execute(query, parameters).fetchall()

    return ask
