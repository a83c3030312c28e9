"""What keeps a deep analysis from being done: a crash behind its samples, a halted source, a database that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.clocked import ClockedPath, clocked_path
from support.lifecycle import RESOURCE, TRACE, evaluation, execution, span_id, task
from support.processor import select, wait_until

from collector_processor.app.analysing import analysis
from collector_processor.app.analysing.analysis import Analysing
from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.reporting.equations import deep_samples
from collector_processor.errors import JournalError
from collector_processor.model.record import point_id
from otel_benchmark import attributes as a

SPANS = (task(), execution(attributes={a.SELF_REFLECTION: "Hm."}), evaluation())
OTHER = [Span.FromString(each.SerializeToString().replace(TRACE, bytes([7] * 16))) for each in SPANS]
"""The same task in a trace of its own."""
SOURCE = f"{RESOURCE[a.SERVICE_NAMESPACE]}/{RESOURCE[a.SERVICE_NAME]}"


class Trouble:
    """A path with policies that keep everything, and the analysis beside it."""

    def __init__(self, path: ClockedPath, make: Callable[[], Analysing], url: str) -> None:
        self.path = path
        self._make = make
        self._url = url
        self.analysing = make()

    async def restart(self) -> None:
        await self.analysing.stop()
        self.analysing = self._make()
        self.analysing.start()

    def samples(self) -> list[dict[str, object]]:
        return select(self._url, "SELECT facet, status FROM deep_samples ORDER BY facet")

    @property
    def pending(self) -> int:
        counters = self.path.front.counters
        assert deep_samples(counters).missing == 0
        return counters.samples_pending


@pytest.fixture
def trouble(tmp_path: Path, postgres_url: str) -> Callable[[Callable[[Trouble], Awaitable[None]]], None]:
    """Runs a test with a task that is stored and not analysed yet."""
    policies = tmp_path / "policies.toml"
    policies.write_text('[[ast]]\nname = "all"\nalways = true\n[[reflection]]\nname = "all"\nalways = true\n')

    @asynccontextmanager
    async def prepared() -> AsyncIterator[Trouble]:
        folder = tmp_path / "data"
        async with clocked_path(folder, postgres_url, sampling=policies) as path:
            settings = path.settings
            keeper = DatabaseKeeper(settings)
            keeper.ready.set()
            trouble = Trouble(path, lambda: Analysing(settings, keeper, path.front, None), postgres_url)
            await path.send(*SPANS)
            await path.wait(11)
            try:
                yield trouble
            finally:
                await trouble.analysing.stop()
                await keeper.close()

    def run(work: Callable[[Trouble], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with prepared() as trouble:
                assert trouble.pending == 2
                await work(trouble)

        asyncio.run(whole())

    return run


async def until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, condition)


def test_samples_that_are_stored_are_not_made_again_when_the_journal_did_not_hear_of_them(trouble, monkeypatch) -> None:
    async def work(trouble: Trouble) -> None:
        told = asyncio.Event()

        async def deaf(*_: object, **__: object) -> None:
            told.set()
            raise JournalError("the power is gone")

        with monkeypatch.context() as patch:
            patch.setattr(trouble.path.front, "analysed", deaf)
            trouble.analysing.start()
            await asyncio.wait_for(told.wait(), 60)
        before = trouble.samples()
        assert before == [{"facet": "ast", "status": "empty"}, {"facet": "reflection", "status": "complete"}]
        assert trouble.pending == 2

        async def again(*_: object) -> None:
            pytest.fail("it was analysed twice")

        await trouble.analysing.stop()
        trouble.analysing = trouble._make()
        monkeypatch.setattr(trouble.analysing._pool, "analyse", again)
        trouble.analysing.start()
        await until(lambda: trouble.pending == 0)
        assert trouble.samples() == before

    trouble(work)


def test_a_halted_source_is_not_analysed_until_it_goes_on(trouble) -> None:
    async def work(trouble: Trouble) -> None:
        await trouble.path.front.halt(frozenset({SOURCE}))
        trouble.analysing.start()
        await until(lambda: trouble.analysing._later)
        assert (trouble.samples(), trouble.pending) == ([], 2)
        await trouble.path.front.halt(frozenset())
        await trouble.restart()
        await until(lambda: trouble.pending == 0)
        assert len(trouble.samples()) == 2

    trouble(work)


def test_it_waits_for_a_database_that_is_away(trouble, postgres_url: str) -> None:
    async def work(trouble: Trouble) -> None:
        refuse(postgres_url, allowed=False)
        trouble.analysing.start()
        await until(lambda: trouble.analysing.problem)
        assert trouble.pending == 2
        refuse(postgres_url, allowed=True)
        await until(lambda: trouble.pending == 0)
        assert trouble.analysing.problem is None
        assert len(trouble.samples()) == 2

    trouble(work)


def test_a_record_that_cannot_be_read_holds_up_no_other(trouble, postgres_url: str) -> None:
    async def work(trouble: Trouble) -> None:
        await trouble.path.send(*OTHER)
        await trouble.path.wait(11)
        assert trouble.pending == 4
        with psycopg.connect(postgres_url) as connection:
            connection.execute(
                "UPDATE benchmark_data.points SET record = '{}' WHERE id = %s", [point_id(TRACE, span_id(1))]
            )
        trouble.analysing.start()
        await until(lambda: trouble.pending == 2 and trouble.analysing._later)
        assert len(trouble.samples()) == 2

    trouble(work)


def test_it_goes_on_after_a_failure_that_nobody_foresaw(trouble, monkeypatch) -> None:
    async def work(trouble: Trouble) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("nobody foresaw this")

        monkeypatch.setattr(analysis, "LAST_PAUSE", 0.01)
        with monkeypatch.context() as patch:
            patch.setattr(trouble.path.front.reader, "analyses", broken)
            patch.setattr(trouble.analysing._outbox, "take", broken)
            trouble.analysing.start()
            await until(lambda: trouble.analysing.problem == "RuntimeError")
            assert trouble.pending == 2
        await until(lambda: trouble.pending == 0)
        assert trouble.analysing.problem is None

    trouble(work)


def test_a_record_that_is_gone_meanwhile_gets_no_samples(trouble, postgres_url: str) -> None:
    async def work(trouble: Trouble) -> None:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE benchmark_data.point_keys SET state = 'erased'")
        trouble.analysing.start()
        await until(lambda: trouble.pending == 0)
        assert trouble.samples() == []
        assert trouble.path.front.counters.samples_void == 2

    trouble(work)


def refuse(url: str, *, allowed: bool) -> None:
    """Let nobody into the table of samples, or everybody who may."""
    with psycopg.connect(url) as connection:
        verb = "GRANT SELECT, INSERT, UPDATE, DELETE" if allowed else "REVOKE ALL"
        to = "TO" if allowed else "FROM"
        connection.execute(f"{verb} ON benchmark_data.deep_samples {to} benchmark_writer".encode())
