"""Fixtures for every test. What they are made of stands in `tests/support`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from support.postgres import temporary_database, throwaway_server

from collector_processor.store.embedded import EmbeddedServer

pytest_plugins = ["servers.fixtures"]

# gRPC's fork handlers abort a child that is forked while a server or channel of its own is busy; tests start programs.
# It reads this when it is imported, which is after this file.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

# A busy machine says nothing about properties.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# What a shell starts in the background ignores Ctrl-C, and so do its children; tests interrupt programs.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)  # without xdist there is no such hook
def pytest_xdist_auto_num_workers() -> int:
    """Two a core: the long tests wait for other processes half of their time."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedServer]:
    """One PostgreSQL for the whole session (one a worker under xdist), started when a test first asks for it."""
    with throwaway_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: EmbeddedServer) -> Iterator[str]:
    """The libpq URL of an empty database of the test's own, whose owner isn't a superuser."""
    with temporary_database(postgres_server) as url:
        yield url
