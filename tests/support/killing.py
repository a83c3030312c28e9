"""Kills a processor at random, all of it or a part, at any moment of its work."""

from __future__ import annotations

import random
import time
from typing import Final, Self

import psutil
import psycopg

from support.crashing import MortalProcessor
from support.processor import wait_for_end, wait_until
from support.steady_load import Load

PAUSE_SECONDS: Final = 0.3


class Killer:
    """Its choices are those of a seed; moments are the machine's.

    Args:
        processor: not started; the killer begins with that, and so learns how long it takes.
        database_url: where batches arrive; None: nobody is to wait for any.
    """

    def __init__(self, processor: MortalProcessor, load: Load, seed: int, database_url: str | None) -> None:
        self.chance = random.Random(seed)
        self._processor, self._load = processor, load
        # Connections are dear beside what is asked by them fifty times a second.
        self._database = psycopg.connect(database_url, autocommit=True) if database_url else None
        self._moments = ["start", "requests", *(["batches"] if database_url else [])]
        self._start_seconds = 0.0
        self._left: list[psutil.Process] = []

    def __enter__(self) -> Self:
        began = time.monotonic()
        self._processor.run_on(wait=True)
        self._start_seconds = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()

    def strike(self) -> None:
        """Start it unless it runs, and kill it, or a worker of it, a little later."""
        self._processor.run_on()
        self._wait_for_a_moment()
        self._kill()

    def wait_for_orphans(self) -> None:
        """Come back when all have ended that outlived their front."""
        wait_for_end(self._left)

    def _wait_for_a_moment(self) -> None:
        """Any: of the start, of requests that come, or of batches that are stored."""
        match self.chance.choice(self._moments):
            case "start":
                time.sleep(self.chance.uniform(0, self._start_seconds))
                return
            case "requests":
                self._load.go_on(self.chance.randrange(1, 8))
            case "batches":
                before = self._batches()
                wait_until(lambda: self._batches() > before)
        time.sleep(self.chance.uniform(0, PAUSE_SECONDS))

    def _batches(self) -> int:
        assert self._database is not None
        row = self._database.execute("SELECT count(*) FROM benchmark_data.batches").fetchone()
        assert row is not None
        return int(row[0])

    def _kill(self) -> None:
        """Kill the front, a worker of it, or all of them."""
        whom, workers = self.chance.choice(["front", "worker", "all"]), self._processor.workers
        if whom == "worker" and workers:
            self.chance.choice(workers).kill()
            return
        if whom == "all":
            for worker in workers:
                worker.kill()
        self._left += self._processor.kill()
