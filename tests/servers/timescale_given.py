"""Any TimescaleDB that a person has: the real thing, with its scheduler, many sessions and their version."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import psycopg

URL_VARIABLE: Final = "OTEL_BENCHMARK_TEST_TIMESCALE_URL"
"""The environment variable with the libpq URL of somebody who may create databases there, and the extension."""


@contextmanager
def database_on(server_url: str) -> Iterator[str]:
    """The URL of a new database with the extension on a server, for a block; dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
