"""A worker that dies: while it has nothing to do, and while it imports."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import uvloop

from collector_processor.app.outage import Outage
from collector_processor.app.protocol import Import, JoinOrphans
from collector_processor.app.storing import pool
from collector_processor.app.storing.pool import WorkerPool
from collector_processor.app.storing.process import EndedError, WorkerProcess
from collector_processor.fallback import Block
from collector_processor.model.sampling import SamplingState


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_one_that_died_with_nothing_to_do_has_ended(run):
    async def ask() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        await process.wait()
        await WorkerProcess(process, 10).ask(JoinOrphans())

    with pytest.raises(EndedError, match="ended unexpectedly"):
        run(ask())


def test_an_import_is_given_up_however_its_slot_fails(monkeypatch):
    given_up = asyncio.Event()
    fallback: Any = SimpleNamespace(
        wanted=False,
        next=lambda: Import(uuid4(), "", Block("", 0, 0), uuid4(), (), SamplingState()),
        given_up=given_up.set,
    )
    desk: Any = SimpleNamespace(begun=None)

    async def fail(_: object) -> None:
        raise RuntimeError

    @asynccontextmanager
    async def started(_: object):
        yield SimpleNamespace(ask=fail)

    async def serve() -> None:
        begin: Any = SimpleNamespace(database_url="postgresql://")
        workers = WorkerPool(lambda _: begin, desk, fallback, Outage(3, 0.0))
        workers.queue.open()
        workers.start(1)
        await given_up.wait()
        assert not workers.queue.imports
        await workers.stop()

    monkeypatch.setattr(pool, "started", started)
    asyncio.run(serve())
