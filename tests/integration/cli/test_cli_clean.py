"""`clean` on stored records: lines of JSON, nothing of what exports may not take, and every step told."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.command import Run, Said
from support.facts import NOON, batch, closed, execution, many, revise, routing, whole
from support.store import id_of, opened

from collector_processor.convert.union import unite
from collector_processor.store.quarantine import Quarantine


@pytest.fixture
def stored(run: Run, postgres_url: str) -> None:
    """Three sound records, one in quarantine, one released that cost no time, one spelt in another way."""
    run("database", "migrate")

    def lacking(trace: int, **run_: Any) -> Any:
        facts = whole(trace, task_id=f"t-{trace}")
        return type(facts)(task=facts.task, executions=(execution(trace, task_id=f"t-{trace}", **run_),))

    spelt = whole(6, task_id="t-6", type="Research")
    spelt = type(spelt)(
        task=spelt.task,
        routings=(routing(6, task_id="t-6", strategy="load_balance"),),
        executions=spelt.executions,
        tool_calls=spelt.tool_calls,
        evaluations=spelt.evaluations,
    )

    async def store() -> None:
        async with opened(postgres_url) as store:
            await store.apply(batch(*many(3), closed(lacking(4)), closed(lacking(5, latency_ms=0.0)), closed(spelt)))
            quarantine = Quarantine(store._database, revise, unite)
            await quarantine.release(id_of(5), author="ada", reason="as a test")

    asyncio.run(store())


def lines(said: Said) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_what_is_left_is_printed_in_order_of_time(run: Run, stored: None) -> None:
    said = run("clean")
    assert said.code == 0
    printed = lines(said)
    assert [each["task"]["id"] for each in printed] == ["t-6", "t-1", "t-2", "t-3"]
    assert (printed[0]["task"]["type"], printed[0]["routing"]["strategy"]) == ("research", "load-balance")
    assert said.err.splitlines() == [
        "otel-benchmark: 4 of 5 records are left",
        "  excluded 1 times for execution.latencyMs",
        "  normalised 1 times for routing.strategy",
        "  normalised 1 times for task.type",
    ]
    [row] = json.loads(run("sql", "SELECT record FROM data_points WHERE task_id = 't-6'", "--json").out)
    assert row["record"]["task"]["type"] == "Research"


def test_every_step_as_json(run: Run, stored: None) -> None:
    *steps, totals = [json.loads(line) for line in run("clean", "--json").err.splitlines()]
    assert totals == {"read": 5, "written": 4}
    assert [(step["kind"], step["field"], step["before"], step["after"]) for step in steps] == [
        ("normalised", "task.type", "Research", "research"),
        ("normalised", "routing.strategy", "load_balance", "load-balance"),
        ("excluded", "execution.latencyMs", 0.0, None),
    ]
    assert steps[2]["id"] == str(id_of(5))


def test_a_part_of_them(run: Run, stored: None) -> None:
    assert [each["task"]["id"] for each in lines(run("clean", "--task-type", "Research"))] == ["t-6"]
    assert lines(run("clean", "--since", NOON.isoformat()))[0]["task"]["id"] == "t-6"
    assert run("clean", "--since", "2036-01-01").err == "otel-benchmark: 0 of 0 records are left\n"


def test_a_file_of_its_owners(run: Run, stored: None, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    assert run("clean", "--output", str(file)).out == ""
    assert len(file.read_text().splitlines()) == 4
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("clean", "--output", str(tmp_path / "nowhere" / "x")).code == 1
    assert {each.name for each in tmp_path.iterdir() if each.is_file()} == {"records.jsonl"}


def test_a_database_that_was_never_migrated(run: Run) -> None:
    said = run("clean", "--output", f"never-{uuid4()}")
    assert said.code == 1
    assert "run `otel-benchmark database migrate`" in said.err
