"""`sampling simulate` on stored records."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from support.command import Run
from support.facts import batch, closed, execution, many, whole
from support.store import id_of, opened

from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet

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
    """Four records that succeeded, one that failed; deep samples: one of 4 kB, one empty, one that was shed."""
    run("database", "migrate")
    failed = whole(9, task_id="t-9")
    failed = type(failed)(task=failed.task, executions=(execution(9, task_id="t-9", success=False),))

    async def store() -> None:
        async with opened(postgres_url) as store:
            await store.apply(batch(*many(4), closed(failed)))

    asyncio.run(store())
    samples = [
        Sample(Facet.AST, "ast/1", SampleStatus.COMPLETE, content=b'{"nodes": "%s"}' % (b"x" * 3987)),
        Sample(Facet.AST, "ast/1", SampleStatus.EMPTY, SampleReason.NO_INPUT),
        Sample(Facet.AST, "ast", SampleStatus.SHED, SampleReason.BUDGET),
    ]
    row = (
        "INSERT INTO benchmark_data.deep_samples"
        " (id, timestamp, facet, inclusion_probability, policy, content, status, bytes, calls)"
        " SELECT id, timestamp, 'ast', 1, 'was', %s, %s, %s, %s FROM benchmark_data.points WHERE id = %s"
    )
    with psycopg.connect(postgres_url) as connection:
        for trace, sample in enumerate(samples, 1):
            size = len(sample.content)
            connection.execute(row, (sample.content.decode(), sample.status, size, sample.calls, id_of(trace)))


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
    assert failed["bytes"] == 10_000 + 2001, "a judgement as the policies take it, the AST as stored ones are"
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
