"""A forwarder of this process, its notices given: what it counts when, and how it ends where its own work fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.lifecycle import payload, route, task

from collector_processor.app.forwarding import forwarder
from collector_processor.app.forwarding.forwarder import Forwarder
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import Waiting
from collector_processor.app.protocol import (
    Account,
    BatchStored,
    BeginForwarding,
    Finish,
    Notice,
    Take,
    Taken,
    Word,
    frame,
)
from collector_processor.config import Settings
from collector_processor.forward.otlp import Backend, connect
from collector_processor.model.stages import Keep, Signal
from collector_processor.store.database import Database

NOWHERE = "http://127.0.0.1:1"


def begin(journal: Path, ratio: float) -> BeginForwarding:
    return BeginForwarding(
        name="tests",
        journal=str(journal),
        database_url="",
        tenant_key=None,
        privacy_keys=None,
        endpoint=NOWHERE,
        protocol="grpc",
        headers={},
        ca_file=None,
        cert_file=None,
        key_file=None,
        ratio=ratio,
        keep=Keep(),
        queue_bytes=1 << 20,
        log_level="info",
        log_format="json",
    )


async def seal_a_task(folder: Path) -> Waiting:
    """Leave a journal with one sealed batch in it, which this process then may open again."""
    sealed: list[Waiting] = []
    front = Front(Settings(data_dir=folder), sealed.extend)
    await front.recover()
    await front.accept(payload((task(), route())), Signal.TRACES)
    await front.flush()
    await front.stop()
    (batch,) = sealed
    return batch


async def hear(folder: Path, *notices: Notice, ratio: float = 1.0) -> list[Word]:
    """What a forwarder says to these notices, the last of which ends it."""
    exporter = connect(Backend(NOWHERE, "grpc", {}))
    said: list[Word] = []
    here = Forwarder(begin(folder / "journal", ratio), Database("", application_name="tests"), exporter, said.append)
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(map(frame, notices)))
    try:
        await asyncio.wait_for(here.serve(reader), 30)
    finally:
        await exporter.close()
    return said


@pytest.mark.parametrize("stored", [True, False])
def test_what_is_left_out_of_a_batch_counts_when_that_is_stored(tmp_path, stored):
    """Until then it may be read again by another process, and must not count twice."""

    async def go() -> None:
        batch = await seal_a_task(tmp_path)
        known = [BatchStored(batch.id)] if stored else []
        said = await hear(tmp_path, Take(batch.id, batch.spans), *known, Finish(1.0), ratio=0.0)
        assert said == [Taken(batch.id), *([Account(0, 2, {}, 0, None)] if stored else [])]

    asyncio.run(go())


def test_an_error_that_nobody_foresaw_ends_the_process(tmp_path, monkeypatch):
    """So that the front replaces it: one that reads on and forwards nothing would fill up and look well."""

    async def fail(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async def go() -> None:
        batch = await seal_a_task(tmp_path)
        with pytest.raises(RuntimeError, match="nobody foresaw this"):
            await hear(tmp_path, Take(batch.id, batch.spans), BatchStored(batch.id))

    monkeypatch.setattr(forwarder, "read_standings", fail)
    asyncio.run(go())
