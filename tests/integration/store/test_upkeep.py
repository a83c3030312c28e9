"""A running processor maintains its database by itself, and says so when it can't."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.conninfo import make_conninfo
from support.facts import batch, closed, many, whole

from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.upkeep import Upkeep
from collector_processor.config import Settings
from collector_processor.model.record import GateName

MAINTAINED = "SELECT FROM benchmark_data.maintenance WHERE settled_at IS NOT NULL AND retired_at IS NOT NULL"


@pytest.fixture
def upkeep(run, url):
    """Of the test's database, which is ready."""
    settings = Settings(database_url=url)

    async def make():
        keeper = DatabaseKeeper(settings)
        await keeper.bring_up()
        return keeper, Upkeep(settings, keeper)

    keeper, made = run(make())
    yield made
    run(keeper.close())


async def until(done):
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - the event is in a database
            await asyncio.sleep(0.05)


def test_statistics_are_settled_and_old_records_retired(run, store, rows, upkeep):
    run(store.apply(batch(*many(3))))

    async def scenario():
        upkeep.start()
        await until(lambda: rows(MAINTAINED))
        await upkeep.stop()

    run(scenario())
    assert upkeep.problem is None
    assert rows("SELECT FROM benchmark_data.stale_hours") == []


def test_gates_are_named_and_what_is_usual_is_measured(run, store, rows, upkeep):
    hour_ago = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(minutes=30)
    run(store.apply(batch(*(closed(whole(n, task_id=f"t-{n}", start=hour_ago)) for n in (1, 2, 3)))))
    run(upkeep._maintain())
    assert upkeep.quality.baselines["code-editing"].latency_ms.tasks == 3
    assert {row["gate"] for row in rows("SELECT gate FROM benchmark.gate_results")} == set(GateName)
    silent = {off.what: off.why for off in upkeep.quality.off()}
    assert "code-editing (3)" in silent["latency-outlier"]


def test_a_database_that_is_gone_is_told_and_no_end(run, url, upkeep):
    async def scenario():
        there, upkeep._database.url = upkeep._database.url, make_conninfo(url, dbname="nowhere")
        await upkeep._maintain()
        told, upkeep._database.url = upkeep.problem, there
        await upkeep._maintain()
        return told

    assert "does not exist" in run(scenario())
    assert upkeep.problem is None
