"""One suite for the store on every tier that the machine can have: the same tests, the same expectations.

A test of what needs several transactions at once, or a time limit, asks for `full_server`: TimescaleDB Community is one
session here, so it doesn't run there. `tier` names the tier where an expectation belongs to one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import dict_row
from servers.timescale_apache import TEMPLATE, ApacheServer
from servers.timescale_community import CommunityServer
from servers.timescale_given import URL_VARIABLE
from support.postgres import temporary_database
from support.store import DAILY, Rows, opened

from collector_processor.store.embedded import EmbeddedServer
from collector_processor.store.maintenance import settle as settle_statistics
from collector_processor.store.migrations import migrate
from collector_processor.store.postgres import PostgresStore

_T = TypeVar("_T")
Run = Callable[[Coroutine[Any, Any, _T]], _T]
OpenStore = Callable[..., AbstractAsyncContextManager[PostgresStore]]

PLAIN: Final = "postgresql"
APACHE: Final = "timescaledb-apache"
COMMUNITY: Final = "timescaledb"
GIVEN: Final = "given"
"""Whatever TimescaleDB a person has named: the full edition, with many sessions."""

_EMPTY: Final = Path(__file__).with_name("empty.sql").read_bytes()


class Place(NamedTuple):
    """A migrated database of the test's own. `prepare_threshold` as in psycopg: its one session prepares nothing."""

    url: str
    prepare_threshold: int | None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that touches a database runs on every tier, and on the TimescaleDB that a person has named."""
    if "tier" in metafunc.fixturenames:
        tiers = [PLAIN, APACHE]
        if "full_server" not in metafunc.fixturenames:
            tiers.append(COMMUNITY)
        if os.environ.get(URL_VARIABLE):
            tiers.append(GIVEN)
        metafunc.parametrize("tier", tiers, indirect=True)


@pytest.fixture
def tier(request: pytest.FixtureRequest) -> str:
    """The tier's name."""
    name: str = request.param
    return name


@pytest.fixture
def full_server() -> None:
    """Asked for by tests of what one session as WebAssembly can't do."""


@pytest.fixture(scope="session")
def plain_template(postgres_server: EmbeddedServer) -> Iterator[str]:
    """Name of a migrated database that is only copied."""
    with temporary_database(postgres_server) as url:
        yield _migrated(url)


@pytest.fixture(scope="session")
def apache_template(timescale_apache: ApacheServer) -> Iterator[str]:
    """The same with TimescaleDB's Apache edition."""
    with temporary_database(timescale_apache, template=TEMPLATE) as url:
        yield _migrated(url)


def _migrated(url: str) -> str:
    asyncio.run(migrate(url, DAILY))
    return urlsplit(url).path.removeprefix("/")


@pytest.fixture(scope="module")
def community_database(timescale_community: CommunityServer) -> Iterator[str]:
    """URL of the one database of TimescaleDB Community, migrated once a module and emptied for each test."""
    with timescale_community.database() as url:
        asyncio.run(migrate(url, DAILY))
        yield url


@pytest.fixture
def place(request: pytest.FixtureRequest, tier: str) -> Iterator[Place]:
    """A migrated database without rows."""
    if tier == COMMUNITY:
        url = request.getfixturevalue("community_database")
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute(_EMPTY)
        yield Place(url, None)
    elif tier == GIVEN:
        url = request.getfixturevalue("timescale_given_url")
        asyncio.run(migrate(url, DAILY))
        yield Place(url, 5)
    else:
        names = ("postgres_server", "plain_template") if tier == PLAIN else ("timescale_apache", "apache_template")
        server, template = (request.getfixturevalue(name) for name in names)
        with temporary_database(server, template=template) as url:
            yield Place(url, 5)


@pytest.fixture
def url(place: Place) -> str:
    """The place's URL."""
    return place.url


@pytest.fixture
def run() -> Iterator[Run[Any]]:
    """Runs a coroutine to its end; all of a test's run in one event loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def open_store(place: Place) -> OpenStore:
    """Opens a store on the test's database, with rules of its own if given."""
    return partial(opened, place.url, prepare_threshold=place.prepare_threshold)


@pytest.fixture
def store(run: Run[Any], open_store: OpenStore) -> Iterator[PostgresStore]:
    """A store with the project's own rules."""
    manager = open_store()
    yield run(manager.__aenter__())
    run(manager.__aexit__(None, None, None))


@pytest.fixture
def rows(place: Place) -> Iterator[Rows]:
    """Asks the database as its owner: (query, parameters) → rows as dictionaries."""
    with psycopg.connect(
        place.url, autocommit=True, row_factory=dict_row, prepare_threshold=place.prepare_threshold
    ) as connection:
        yield lambda query, parameters=None: connection.execute(query, parameters).fetchall()


@pytest.fixture
def settle(run: Run[Any], url: str) -> Callable[[], int]:
    """Settles the statistics of hours that changed; how many."""
    return lambda: run(settle_statistics(url))
