"""A database that comes from an earlier version, or gains TimescaleDB later, ends as a fresh one does, rows and all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import dict_row
from servers.timescale_apache import TEMPLATE
from servers.timescale_community import CommunityServer
from support.facts import NOON, batch, closed, whole
from support.generated import Population, generate
from support.postgres import temporary_database
from support.store import DAILY, opened

from collector_processor.store import migrations as under_test
from collector_processor.store import tiers
from collector_processor.store.inspection import check
from collector_processor.store.maintenance import retire, settle
from collector_processor.store.migrations import migrate
from collector_processor.store.statements import migrations, script
from collector_processor.store.tiers import Lifetimes, Tier, read_tier

CATALOGUE = Path(__file__).with_name("catalogue.sql").read_text()
CHUNKED = """
    SELECT hypertable_name, column_name, time_interval, compression_enabled, primary_dimension
    FROM timescaledb_information.dimensions
    JOIN timescaledb_information.hypertables USING (hypertable_schema, hypertable_name)
    WHERE hypertable_schema = 'benchmark_data'
    ORDER BY 1
"""
OLD_ROWS = """
    WITH given AS (
        SELECT
            lpad(to_hex(n), 32, '0')::uuid AS id, decode(lpad(to_hex(n), 32, '0'), 'hex') AS trace_id,
            decode(lpad(to_hex(n), 16, '0'), 'hex') AS span_id,
            timestamptz '2026-11-22 12:00:00Z' + n * interval '1 hour' AS timestamp, 't-' || n AS task_id, n
        FROM generate_series(1, 50) AS n
    ), keys AS (
        INSERT INTO benchmark_data.point_keys (id, trace_id, span_id, timestamp, task_id, revision, state, spans)
        SELECT id, trace_id, span_id, timestamp, task_id, 1, 'accepted', 1 FROM given
    )
    INSERT INTO benchmark_data.points (
        id, timestamp, task_id, latency_ms, reward_version, valid, rl_ready, state, withheld, gates_failed,
        completeness, ended_by, convention, schema_version, revision, trace_id, span_id, record
    )
    SELECT
        id, timestamp, task_id, n, '1', true, true, 'accepted', false, '{}', '{}', 'closed', '1', 1, 1, trace_id,
        span_id, '{}'
    FROM given
    RETURNING id
"""
TASK_OF_OLD = "SELECT latency_ms FROM benchmark.data_points WHERE task_id = 't-30'"
COUNTED = """
    SELECT sum(total_tasks)::int AS tasks, count(*)::int AS hours, (
        SELECT count(*)::int FROM benchmark.agent_statistics_daily WHERE total_tasks > 1
    ) AS days
    FROM benchmark.agent_statistics
"""
VERSIONS = [migration.version for migration in migrations()]
HOUR = timedelta(hours=1)
EditionOf = Callable[[], AbstractContextManager[str]]


@pytest.fixture(params=["postgresql", "timescaledb-apache", "timescaledb"])
def database(request) -> EditionOf:
    """Makes empty databases of one edition, one after the other."""
    if request.param == "timescaledb":
        community: CommunityServer = request.getfixturevalue("timescale_community")
        return community.database
    server = request.getfixturevalue("postgres_server" if request.param == "postgresql" else "timescale_apache")
    template = "template1" if request.param == "postgresql" else TEMPLATE
    return lambda: temporary_database(server, template=template)


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[dict[str, object]]]:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None, row_factory=dict_row) as connection:
        yield connection


def catalogue(url: str) -> list[str]:
    """Everything in our schemas, a line each."""
    with connected(url) as connection:
        lines = [str(row["line"]) for row in connection.execute(CATALOGUE).fetchall()]
        if connection.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").fetchone():
            lines += [str(row) for row in connection.execute(CHUNKED).fetchall()]
        return lines


def upgrade_to(url: str, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the release that knew no later version left it."""
    known = tuple(each for each in migrations() if each.version <= version)

    async def adapt(connection: Any, lifetimes: Lifetimes) -> None:
        """What was made of TimescaleDB then."""
        if version >= 4:
            await tiers.adapt(connection, lifetimes)
        elif version == 2 and await read_tier(connection) is not Tier.POSTGRESQL:
            for table in ("points", "deep_samples"):
                await connection.execute(
                    f"SELECT create_hypertable('benchmark_data.{table}', 'timestamp', migrate_data => true)"
                )

    with monkeypatch.context() as patched:
        patched.setattr(under_test, "migrations", lambda: known)
        patched.setattr(under_test, "adapt", adapt)
        patched.setattr(under_test, "script", lambda name: b"SELECT 1" if name == "grants" else script(name))
        asyncio.run(migrate(url, DAILY))


def fill(url: str, count: int = 60) -> None:
    async def apply() -> None:
        async with opened(url, prepare_threshold=None) as store:
            await store.apply(
                batch(*(closed(whole(n, task_id=f"t-{n}", start=NOON + n * HOUR)) for n in range(1, count)))
            )

    asyncio.run(apply())


def ask(url: str, query: str) -> list[dict[str, object]]:
    with connected(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_an_upgrade_ends_as_a_fresh_install(database, monkeypatch):
    with database() as url:
        asyncio.run(migrate(url, DAILY))
        fresh = catalogue(url)
        asyncio.run(migrate(url, DAILY))
        assert catalogue(url) == fresh
    assert any("points.hour" in line for line in fresh)
    for version in VERSIONS[:-1]:
        with database() as url:
            upgrade_to(url, 1, monkeypatch)
            ask(url, OLD_ROWS)
            upgrade_to(url, version, monkeypatch)
            assert catalogue(url) != fresh
            asyncio.run(migrate(url, DAILY))
            assert catalogue(url) == fresh
            assert asyncio.run(check(url)).missing == ()
            assert ask(url, TASK_OF_OLD) == [{"latency_ms": 30.0}]
            assert ask(url, COUNTED) == [{"tasks": 50, "hours": 50, "days": 3}]
            assert asyncio.run(settle(url)) == 50
            assert ask(url, COUNTED) == [{"tasks": 50, "hours": 50, "days": 3}]


POINTS = "SELECT * FROM benchmark.data_points ORDER BY id"
STATISTICS = (
    "SELECT * FROM benchmark.agent_statistics ORDER BY bucket",
    "SELECT * FROM benchmark.agent_statistics_daily ORDER BY bucket",
)


def test_records_of_an_earlier_release_say_which_gates_failed(database, monkeypatch):
    """Chunks that are compressed stay so: the severities are found in the records."""
    results = "SELECT severity, gate, sum(failed)::int AS failed FROM benchmark.gate_results GROUP BY severity, gate"
    with database() as url:
        upgrade_to(url, 4, monkeypatch)
        assert list(generate(url, Population(600, days=6, until=NOON))) == [600]
        with connected(url) as connection:
            connection.execute("TRUNCATE benchmark_data.stale_hours")
        full = asyncio.run(check(url)).tier == "timescaledb"
        if full:
            assert len(ask(url, "SELECT compress_chunk(chunk) FROM show_chunks('benchmark_data.points') AS chunk")) == 7
        asyncio.run(migrate(url))
        [quarantined] = ask(url, "SELECT count(*)::int AS failed FROM benchmark.quarantine")
        expected = [{"severity": "error", "gate": "timing"} | quarantined]
        assert ask(url, results) == expected
        assert asyncio.run(settle(url)) > 100
        assert ask(url, results) == expected
        assert ask(url, "SELECT FROM benchmark_data.points WHERE gate_severities IS NOT NULL") == []
        if full:
            assert "7 compressed" in asyncio.run(check(url)).in_use["hypertable points"]


def test_compressed_samples_of_an_earlier_release_stay_as_they_are(database, monkeypatch):
    sample = "SELECT facet, content, inclusion_probability FROM benchmark.deep_samples"
    with database() as url:
        upgrade_to(url, 1, monkeypatch)
        ask(url, OLD_ROWS)
        upgrade_to(url, 12, monkeypatch)
        ask(
            url,
            "INSERT INTO benchmark_data.deep_samples"
            " (id, timestamp, task_id, facet, inclusion_probability, policy, content)"
            " SELECT id, timestamp, task_id, 'ast', 0.5, 'all', '{\"files\": []}'"
            " FROM benchmark_data.points RETURNING id",
        )
        if asyncio.run(check(url)).tier == "timescaledb":
            assert ask(url, "SELECT compress_chunk(chunk) FROM show_chunks('benchmark_data.deep_samples') AS chunk")
        before = ask(url, sample)
        asyncio.run(migrate(url))
        assert ask(url, sample) == before != []


def test_a_plain_database_that_gains_the_extension_is_converted(timescale_apache):
    with temporary_database(timescale_apache, template="template1") as url:
        asyncio.run(migrate(url, DAILY))
        fill(url)
        asyncio.run(settle(url))
        asyncio.run(retire(url, Lifetimes(retain_records=timedelta(days=1)), NOON + 36 * HOUR))
        before = [ask(url, query) for query in (POINTS, *STATISTICS)]
        assert len(before[0]) < len(before[1])
        assert asyncio.run(check(url)).tier == "postgresql"
        superuser = urlsplit(timescale_apache.superuser_url)._replace(path=urlsplit(url).path).geturl()
        with connected(superuser) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
        assert asyncio.run(migrate(url, DAILY)) == []
        assert asyncio.run(check(url)).tier == "timescaledb-apache"
        assert [ask(url, query) for query in (POINTS, *STATISTICS)] == before
        [chunks] = ask(url, "SELECT count(*)::int AS chunks FROM show_chunks('benchmark_data.points') AS chunk")
        assert chunks["chunks"] == 2
        asyncio.run(settle(url))
        assert [ask(url, query) for query in (POINTS, *STATISTICS)] == before


@pytest.mark.parametrize("before_that", ["postgresql", "timescaledb-apache"])
def test_a_lesser_tier_becomes_the_full_one(timescale_community, before_that, monkeypatch):
    """As when the extension is installed, or its license set to timescale: PGlite has both from the beginning."""
    with timescale_community.database() as url:
        with monkeypatch.context() as patched:
            patched.setattr("collector_processor.store.tiers.read_tier", constantly(Tier(before_that)))
            asyncio.run(migrate(url, DAILY))
            fill(url)
            asyncio.run(settle(url))
            asyncio.run(retire(url, Lifetimes(retain_records=timedelta(days=1)), NOON + 36 * HOUR))
            before = [ask(url, query) for query in (POINTS, *STATISTICS)]
        assert len(before[0]) < len(before[1])
        assert ask(url, "SELECT FROM benchmark_data.stale_hours") == []
        asyncio.run(migrate(url, DAILY))
        assert [ask(url, query) for query in (POINTS, *STATISTICS)] == before
        assert asyncio.run(settle(url)) == len(before[0])
        assert [ask(url, query) for query in (POINTS, *STATISTICS)] == before
        [kept] = ask(url, "SELECT count(*)::int AS hours FROM benchmark_data.hourly_statistics")
        assert kept["hours"] == len(before[1]) - len(before[0])


def constantly(tier: Tier) -> Callable[[object], Coroutine[None, None, Tier]]:
    async def answer(_: object) -> Tier:
        return tier

    return answer


def test_lifetimes_that_change_are_followed(timescale_community):
    day = timedelta(days=1)
    with timescale_community.database() as url:
        asyncio.run(migrate(url, DAILY))
        asyncio.run(migrate(url, Lifetimes(7 * day, 3 * day, None, None)))
        jobs = ask(
            url, "SELECT config ->> 'compress_after' AS after FROM timescaledb_information.jobs WHERE job_id >= 1000"
        )
        assert len(jobs) == 2
        [interval] = ask(
            url,
            "SELECT time_interval FROM timescaledb_information.dimensions"
            " WHERE hypertable_schema = 'benchmark_data' AND hypertable_name = 'points'",
        )
        assert interval["time_interval"] == 7 * day
        asyncio.run(migrate(url, Lifetimes(compress_after=None)))
        kinds = ask(url, "SELECT DISTINCT proc_name FROM timescaledb_information.jobs WHERE job_id >= 1000")
        assert kinds == [{"proc_name": "policy_retention"}]


def test_two_processes_at_once_with_chunks(timescale_apache_url):
    async def race() -> list[list[str]]:
        return await asyncio.gather(*(migrate(timescale_apache_url) for _ in range(3)))

    applied = asyncio.run(race())
    assert sorted(name for names in applied for name in names) == [
        f"{migration.version:04}_{migration.name}" for migration in migrations()
    ]
    assert asyncio.run(check(timescale_apache_url)).missing == ()


def test_check_says_what_is_in_use_and_what_is_not(database):
    with database() as url:
        assert asyncio.run(check(url)).in_use == {}
        asyncio.run(migrate(url, DAILY))
        fill(url, 3)
        found = asyncio.run(check(url))
        assert found.missing == ()
        assert found.in_use["statistics"] == "2 hours to settle, settled last never"
        assert found.in_use["records"].startswith("kept from the first on")
        if found.tier == "postgresql":
            assert found.beyond is not None
            assert "CREATE EXTENSION timescaledb" in found.beyond
            return
        with_columns = ", columnstore on: 0 compressed" if found.tier == "timescaledb" else ""
        assert found.in_use["hypertable points"] == f"chunks of 1 day: 1{with_columns}"
        if found.tier == "timescaledb":
            assert found.beyond is None
            assert found.in_use["policy compression"] == "after 7 days (2 jobs)"
            assert found.in_use["policy retention"] == "after 730 days (4 jobs)"
            assert found.in_use["continuous aggregates"].count("aggregate") == 4


def test_an_extension_that_came_later_is_told_of_and_stops_no_maintenance(timescale_apache):
    with temporary_database(timescale_apache, template="template1") as url:
        asyncio.run(migrate(url, DAILY))
        fill(url, 3)
        superuser = urlsplit(timescale_apache.superuser_url)._replace(path=urlsplit(url).path).geturl()
        with connected(superuser) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
        assert asyncio.run(check(url)).missing == ("hypertables: run `otel-benchmark database migrate`",)
        assert asyncio.run(settle(url)) == 2
        assert asyncio.run(retire(url, Lifetimes(), NOON + timedelta(days=200))).records == 2
        asyncio.run(migrate(url, DAILY))
        assert asyncio.run(check(url)).missing == ()
