"""Data directories, and other processes that hold their servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.embedded import Holder, server_processes
from support.postgres import reachable_folder, throwaway_hold


@contextmanager
def quiet_afterwards(directory: Path) -> Iterator[Path]:
    """At the end nothing works on a data directory any more."""
    yield directory
    left = server_processes(directory)
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory that doesn't exist yet."""
    with reachable_folder() as folder, quiet_afterwards(folder / "postgres") as directory:
        yield directory


@pytest.fixture(scope="session")
def _made_once() -> Iterator[Path]:
    with reachable_folder() as folder:
        with throwaway_hold(folder / "postgres"):
            pass
        yield folder / "postgres"


@pytest.fixture
def used_data_dir(_made_once: Path) -> Iterator[Path]:
    """A data directory in which an earlier test, or its maker, left a cluster: quicker than a new one."""
    with quiet_afterwards(_made_once) as directory:
        yield directory


@pytest.fixture
def hold() -> Iterator[Callable[..., Holder]]:
    """Start another process that holds the server of a data directory; it is killed at the end if still there."""
    with ExitStack() as stack:

        def start(data_dir: Path, *arguments: str) -> Holder:
            holder = Holder(data_dir, *arguments)
            stack.callback(holder.kill)
            return holder

        yield start
