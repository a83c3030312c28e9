"""`sampling simulate` on stored records."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import psycopg
import pytest
from support.command import Run
from support.facts import batch, closed, execution, many, whole
from support.store import id_of, opened

SINCE = "2026-11-22T00:00Z"
POLICIES = """
[[judge]]
name = "all"
always = true
[[ast]]
name = "failures"
when.rlLabels.finalOutcome = "failure"
always = true
[[conversation]]
name = "complex"
when.task.complexity = "complex"
always = true
"""


@pytest.fixture
def stored(run: Run, postgres_url: str) -> None:
    """Four records that succeeded, one that failed, and a deep sample of 4 kB beside an empty one."""
    run("database", "migrate")
    failed = whole(9, task_id="t-9")
    failed = type(failed)(task=failed.task, executions=(execution(9, task_id="t-9", success=False),))

    async def store() -> None:
        async with opened(postgres_url) as store:
            await store.apply(batch(*many(4), closed(failed)))

    asyncio.run(store())
    row = "INSERT INTO benchmark_data.deep_samples (id, timestamp, facet, inclusion_probability, policy, content)"
    with psycopg.connect(postgres_url) as connection:
        for trace, content in ((1, f'{{"nodes": "{random.Random(1).randbytes(2000).hex()}"}}'), (2, "{}")):
            connection.execute(
                f"{row} SELECT id, timestamp, 'ast', 1, 'was', %s FROM benchmark_data.points WHERE id = %s",
                (content, id_of(trace)),
            )


def test_what_policies_would_have_kept_by_stratum(run: Run, stored: None, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(POLICIES)
    told = run("sampling", "simulate", "--config", str(file), "--last", SINCE, "--json").json
    assert told["policies"] == str(file)
    assert told["since"] == "2026-11-22T00:00:00Z"
    succeeded, failed = told["strata"]
    assert (succeeded["agent_id"], succeeded["task_type"], succeeded["outcome"]) == ("alpha", "code-editing", "success")
    assert [succeeded["tasks"], failed["tasks"], failed["outcome"]] == [4, 1, "failure"]
    assert succeeded["facets"]["judge"] == {"kept": 4, "expected": 4.0, "shed": 0, "kept_when_stored": 0}
    assert failed["facets"]["ast"]["kept"] == 1
    assert succeeded["facets"]["ast"]["kept"] == succeeded["facets"]["conversation"]["kept"] == 0
    assert 4000 < failed["bytes"] - 10_000 < 4100, "a judgement as the policies take it, the AST as stored ones are"
    assert (told["all"]["tasks"], told["all"]["touched"], told["all"]["calls"]) == (5, 5, 5)


def test_as_a_table(run: Run, stored: None, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(POLICIES + "[cap]\njudge = 2\n")
    said = run("sampling", "simulate", "--config", str(file), "--last", SINCE)
    assert said.code == 0
    head, _, succeeded, failed, whole_ = said.out.splitlines()
    assert head.split() == [
        *("agent_id", "task_type", "outcome", "tasks", "touched"),
        *("conversation", "ast", "judge", "reflection", "MB", "calls"),
    ]
    assert succeeded.split()[:9] == ["alpha", "code-editing", "success", "4", "4", "0", "0", "4", "0"]
    assert failed.split()[2:9] == ["failure", "1", "1", "0", "1", "1", "0"]
    assert whole_.split()[:7] == ["all", "5", "5", "0", "1", "5", "0"]
    assert "3 of these would be shed by the hard cap" in said.err


def test_the_policies_in_force_and_a_time_without_records(run: Run, stored: None) -> None:
    told = run("sampling", "simulate", "--last", "2026-11-23T00:00Z", "--json").json
    assert (told["policies"], told["strata"], told["all"]["tasks"]) == ("the default policies", [], 0)
