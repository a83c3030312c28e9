"""A processor that dies: at named points of its way (see `crash_points`), by itself, or when it is killed."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import Final, Self

from support.crash_points import FOLDER, asked_for
from support.processor import Processor, wait_until

_SITE: Final = "from support.crash_points import watch\n\nwatch()\n"
_TESTS: Final = Path(__file__).resolve().parents[1]


class MortalProcessor(Processor):
    """Is found at the same address after every start.

    Args:
        points: a folder, made here, by which deaths are asked for.
    """

    def __init__(self, data_dir: Path, database_url: str, points: Path, **settings: str) -> None:
        self.address = _steady_address()
        super().__init__(data_dir, database_url, **{"OTLP_HTTP": self.address} | settings)
        self._points = points
        points.mkdir()
        (points / "sitecustomize.py").write_text(_SITE)
        path = filter(None, [str(points), str(_TESTS), self.environment.get("PYTHONPATH", "")])
        self.environment |= {"PYTHONPATH": os.pathsep.join(path), FOLDER: str(points)}

    def start(self, *, wait: bool = True) -> Self:
        self.ready = {}
        return super().start(wait=wait)

    def run_on(self, *, wait: bool = False) -> None:
        """Start it unless it runs; with `wait`, come back when it has said that it is ready."""
        if self._process is None:
            self.start(wait=False)
        if wait and not self.ready:
            self.wait_for_ready_line()

    def arm(self, point: str) -> None:
        """Ask for one death, of whoever comes there next."""
        asked_for(self._points, point).touch()

    def wait_for_death(self, point: str) -> None:
        """Come back when somebody has died there."""
        wait_until(lambda: not asked_for(self._points, point).exists())

    def bury(self) -> None:
        """Come back when the front, which dies, is gone."""
        self._end()


def _steady_address() -> str:
    """Where nobody listens, and which the kernel gives to nobody who asks for any."""
    chance = random.Random()
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", chance.randrange(15_000, 30_000)))
            except OSError:
                continue
            return "{}:{}".format(*probe.getsockname())
