"""Where benchmarks of the database are run: an empty database of a tier, migrated, for a block."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.rows import dict_row
from servers.cache import Recipe, UnavailableError, user_cache
from servers.timescale_apache import TEMPLATE, TimescaleApacheRecipe, running_apache
from servers.timescale_community import CommunityServer, TimescaleCommunityRecipe
from servers.timescale_given import database_on
from support.postgres import reachable_folder, temporary_database

from collector_processor.store.embedded import EmbeddedServer
from collector_processor.store.migrations import migrate
from collector_processor.store.tiers import Lifetimes

SERVERS = "embedded, apache or community for TimescaleDB's editions, or the URL of a superuser of any other server"
DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB", "max_wal_size": "2GB"}
_LIFETIMES = Lifetimes()


@contextmanager
def database(server: str, settings: Mapping[str, str] = DURABLE, lifetimes: Lifetimes = _LIFETIMES) -> Iterator[str]:
    """The URL of its owner. `settings` are of servers that are started for it, durable as in use unless they differ.

    Raises SystemExit where that server isn't in the cache.
    """
    with _empty(server, settings) as url:
        asyncio.run(migrate(url, lifetimes))
        with connected(url) as connection:
            version = connection.execute("SHOW server_version").fetchone()
            extension = connection.execute(
                "SELECT extversion, current_setting('timescaledb.license') AS license FROM pg_extension"
                " WHERE extname = 'timescaledb'"
            ).fetchone()
        assert version is not None
        more = f", TimescaleDB {extension['extversion']} ({extension['license']} license)" if extension else ""
        print(f"PostgreSQL {version['server_version']}{more}")
        yield url


def connected(url: str) -> psycopg.Connection[dict[str, object]]:
    """A connection that prepares nothing and commits by itself."""
    return psycopg.connect(url, autocommit=True, prepare_threshold=None, row_factory=dict_row)


@contextmanager
def _empty(server: str, settings: Mapping[str, str]) -> Iterator[str]:
    if server == "embedded":
        with reachable_folder() as folder, EmbeddedServer(folder / "postgres", settings=settings) as embedded:
            yield embedded.url
    elif server == "apache":
        with (
            running_apache(_made(TimescaleApacheRecipe()), settings) as apache,
            temporary_database(apache, template=TEMPLATE) as url,
        ):
            yield url
    elif server == "community":
        with tempfile.TemporaryDirectory() as log:
            community = CommunityServer(_made(TimescaleCommunityRecipe()), Path(log))
            try:
                with community.database() as url:
                    yield url
            finally:
                community.stop()
    else:
        with database_on(server) as url:
            yield url


def _made(recipe: Recipe) -> Path:
    try:
        return user_cache().find(recipe)
    except UnavailableError as error:
        raise SystemExit(str(error)) from error
