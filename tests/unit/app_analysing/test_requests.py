"""The hour's requests outlive a restart, and a request that can't be noted is not made."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.analysis import work_of

from collector_processor.analyse.pool import Asking, Pool
from collector_processor.app.analysing.requests import Requests
from collector_processor.app.journalling.front import Front
from collector_processor.config import Settings
from collector_processor.errors import JournalError
from collector_processor.model.samples import SampleReason
from collector_processor.model.sampling import Facet

DIES = ("/bin/sh", "-c", "exit 1")


@asynccontextmanager
async def front_of(folder: Path):
    front = Front(Settings(data_dir=folder), lambda _: None)
    await front.recover()
    try:
        yield front
    finally:
        await front.stop()


def test_what_is_kept_is_there_after_a_restart(tmp_path):
    async def go() -> None:
        booked = {Facet.JUDGE: {29_000_000: 7}, Facet.REFLECTION: {}}
        async with front_of(tmp_path) as front:
            assert await Requests(front.run).recall() == {}
            await Requests(front.run).keep(booked)
        async with front_of(tmp_path) as front:
            assert await Requests(front.run).recall() == booked

    asyncio.run(go())


def test_a_garbled_note_is_counted_anew(tmp_path):
    async def go() -> None:
        async with front_of(tmp_path) as front:
            await front.run(lambda transaction: transaction.note("requests", b"\xc1"))
            assert await Requests(front.run).recall() == {}

    asyncio.run(go())


def test_a_crash_while_a_model_is_asked_leaves_its_requests_booked(tmp_path):
    """They are noted before the first of them: a crash loop spends the hour once."""

    async def ask(front: Front, process: list[str]):
        pool = Pool(process, b"{}", asking={Facet.JUDGE: Asking(3, 6, 8)})
        requests = Requests(front.run)
        pool.remember(await requests.recall(), requests.keep)
        try:
            return await pool.analyse(work_of(facet=Facet.JUDGE))
        finally:
            await pool.stop()

    async def go() -> None:
        async with front_of(tmp_path) as front:
            asked = tmp_path / "asked"
            asking = asyncio.create_task(ask(front, ["/bin/sh", "-c", f"touch {asked}; exec sleep 600"]))
            while not asked.exists():  # noqa: ASYNC110  # another process makes it
                await asyncio.sleep(0.01)
            noted = await Requests(front.run).recall()
            assert sum(noted[Facet.JUDGE].values()) == 6
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        async with front_of(tmp_path) as front:
            sample = await ask(front, list(DIES))
            assert sample.reason is SampleReason.BUDGET

    asyncio.run(go())


def test_what_cannot_be_noted_is_not_asked():
    async def refuse(_: object) -> None:
        raise JournalError("the journal is full")

    async def go() -> None:
        pool = Pool(DIES, b"{}", asking={Facet.JUDGE: Asking(1, 3, 3)})
        pool.remember({}, refuse)
        for _ in range(2):  # what was booked for nothing has come back
            with pytest.raises(JournalError):
                await pool.analyse(work_of(facet=Facet.JUDGE))
        await pool.stop()

    asyncio.run(go())
