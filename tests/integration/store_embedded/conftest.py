"""Data directories, other processes that hold a server, and a look at what still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import support
from support.postgres import reachable_folder

import collector_processor

HOLDER = Path(support.__path__[0]) / "embedded_holder.py"
IMPORTS = os.pathsep.join([str(Path(collector_processor.__path__[0]).parent), str(HOLDER.parents[1])])


class Holder:
    """Another process with a hold on the server of a data directory."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HOLDER), str(data_dir), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": IMPORTS},
        )

    def url(self) -> str:
        """Wait until it holds the server."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> str:
        """Let it leave and end; its complaints."""
        return self.process.communicate()[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def server_processes(data_dir: Path) -> list[psutil.Process]:
    """The living processes that work in or on a data directory, but for those that hold it by our class."""
    cluster = str((data_dir / "cluster").resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            command = " ".join(process.cmdline())
            if process.cwd() == cluster or ("embedded_holder" not in command and str(data_dir) in command):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory that doesn't exist yet; at the end nothing works on it any more."""
    with reachable_folder() as folder:
        directory = folder / "postgres"
        yield directory
        left = server_processes(directory)
        for process in left:
            process.kill()
    assert left == []


@pytest.fixture
def hold(data_dir: Path) -> Iterator[Callable[..., Holder]]:
    """Start another process that holds the server."""
    with ExitStack() as stack:

        def start(*arguments: str, directory: Path = data_dir) -> Holder:
            holder = Holder(directory, *arguments)
            stack.callback(holder.kill)
            return holder

        yield start
