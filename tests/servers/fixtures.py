"""Fixtures of the real servers, for every test; `tests/conftest.py` loads them.

A server that isn't in the cache skips its tests with the reason, and fails them where CI is set in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from support.postgres import temporary_database

from servers import collector as otelcol
from servers.cache import Recipe, UnavailableError, user_cache
from servers.collector import CollectorRecipe
from servers.jaeger import PROGRAM as JAEGER
from servers.jaeger import Jaeger, JaegerRecipe, running_jaeger
from servers.timescale_apache import TEMPLATE, ApacheServer, TimescaleApacheRecipe, running_apache
from servers.timescale_community import CommunityServer, TimescaleCommunityRecipe
from servers.timescale_given import URL_VARIABLE, database_on


@pytest.fixture(scope="session")
def collector_binary() -> Path:
    """The program of the OpenTelemetry Collector, with the parts that `servers/collector.yaml` lists."""
    return _made(CollectorRecipe()) / otelcol.PROGRAM


@pytest.fixture(scope="session")
def jaeger_binary() -> Path:
    """The program of Jaeger 2."""
    return _made(JaegerRecipe()) / JAEGER


@pytest.fixture(scope="session")
def jaeger(jaeger_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A running Jaeger, shared by the tests of a session (of a worker under xdist): use trace ids of your own."""
    with running_jaeger(jaeger_binary, tmp_path_factory.mktemp("jaeger")) as running:
        yield running


@pytest.fixture(scope="session")
def timescale_community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommunityServer]:
    """A PostgreSQL 17 with TimescaleDB Community, one a session (a worker under xdist)."""
    server = CommunityServer(_made(TimescaleCommunityRecipe()), tmp_path_factory.mktemp("pglite"))
    yield server
    server.stop()


@pytest.fixture
def timescale_community_url(timescale_community: CommunityServer) -> Iterator[str]:
    """The libpq URL of an empty database with TimescaleDB Community, as superuser; wiped after the test.

    One session: no two transactions may be open at once, and psycopg needs `prepare_threshold=None`.
    """
    with timescale_community.database() as url:
        yield url


@pytest.fixture(scope="session")
def timescale_apache() -> Iterator[ApacheServer]:
    """A PostgreSQL 17 with TimescaleDB's Apache edition, one a session (a worker under xdist)."""
    with running_apache(_made(TimescaleApacheRecipe())) as server:
        yield server


@pytest.fixture
def timescale_apache_url(timescale_apache: ApacheServer) -> Iterator[str]:
    """The libpq URL of an empty database of the test's own that has the extension; its owner isn't a superuser."""
    with temporary_database(timescale_apache, template=TEMPLATE) as url:
        yield url


@pytest.fixture
def timescale_given_url() -> Iterator[str]:
    """The libpq URL of an empty database of the test's own on a server that a person has, by the URL of its superuser.

    It is skipped in CI too where nobody names a server.
    """
    given = os.environ.get(URL_VARIABLE)
    if not given:
        pytest.skip(f"{URL_VARIABLE} names no server")
    with database_on(given) as url:
        yield url


def _made(recipe: Recipe) -> Path:
    try:
        return user_cache().find(recipe)
    except UnavailableError as error:
        _missing(str(error))


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI must have it)", pytrace=False)
    pytest.skip(reason)
