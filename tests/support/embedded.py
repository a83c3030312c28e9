"""Other processes that hold an embedded server, and a look at what still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

_PROGRAM = Path(__file__).with_name("embedded_holder.py")


class Holder:
    """Another process with a hold on the server of a data directory."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), str(data_dir), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
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
