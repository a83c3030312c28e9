"""The database is away and the journal fills: tasks wait in fallback files, and each comes back exactly once."""

from __future__ import annotations

import json
import time

import psycopg
import pytest
from support.lifecycle import evaluation, execution, route, task, tool_call
from support.model_endpoint import VOTE, ModelEndpoint, Reply
from support.processor import Own, Processor, fact_spans, own, select
from support.proxy import Proxy

from collector_processor.app.policies import state_of
from collector_processor.app.reporting.status import Status
from collector_processor.journal.commit import GroupCommit
from collector_processor.journal.environment import Environment
from otel_benchmark import attributes as a

PERSON = "ada.lovelace@example.com"


def whole(number: int) -> Own:
    note = execution(attributes={a.EXECUTION_FAILURE_REASON: f"ask {PERSON}", "padding": "x" * 2000})
    return own(task(), route(), note, tool_call(), evaluation(), task_id=f"task-{number}")


@pytest.fixture
def proxy(postgres_server):
    port = psycopg.conninfo.conninfo_to_dict(postgres_server.url)["port"]
    with Proxy(int(port)) as proxy:
        yield proxy


@pytest.fixture
def running(make, proxy, postgres_url):
    """A processor that reaches its database by the proxy."""
    with make(proxy.url(postgres_url)) as processor:
        yield processor


def send(processor: Processor, numbers: range) -> list[Own]:
    """Send whole tasks one after the other, each closed by itself."""
    sent = [whole(number) for number in numbers]
    for mine in sent:
        processor.send(*mine.spans)
        time.sleep(0.1)  # so that there are several batches
    return sent


def fill(processor: Processor, proxy: Proxy) -> list[Own]:
    """Send tasks with the database cut off, until all of them are in the fallback or below its threshold."""
    proxy.refuse()
    proxy.cut()
    sent = send(processor, range(12))
    share = float(processor.environment["COLLECTOR_PROCESSOR_FALLBACK_AT"])
    processor.wait_for(lambda status: status.fallback.batches and _nothing_follows(status, share))
    return sent


def _nothing_follows(status: Status, share: float) -> bool:
    """Whether what is not in the fallback yet stays out of it: sealed, and below its threshold."""
    place, journal = status.place, status.journal
    if place.open_tasks or place.closed_tasks:
        return False
    return not place.sealed_batches or journal.bytes <= share * journal.max_bytes


def assert_stored(processor: Processor, url: str, sent: list[Own], *, erased: int = 0) -> None:
    """Every task is in one record with all of its spans, and all books balance."""
    processor.wait_for(lambda status: not (status.fallback.batches or status.place.sealed_batches))
    processor.settle()
    processor.database_url = url
    rows = processor.rows("SELECT task_id, record FROM data_points")
    assert sorted(row["task_id"] for row in rows) == sorted(mine.task_id for mine in sent)
    for row in rows:
        (mine,) = (mine for mine in sent if mine.task_id == row["task_id"])
        assert fact_spans(row["record"]) == {span.span_id.hex() for span in mine.spans}
        assert row["record"]["revision"] == 1
    processor.assert_balanced()
    terms = processor.terms()
    assert terms["handed_over"] == sum(len(mine.spans) for mine in sent)
    assert (terms["erased"], terms["received"]) == (erased, terms["handed_over"] + erased)


def test_tasks_wait_in_files_until_the_database_is_back_but_for_what_is_erased(running, proxy, postgres_url):
    sent = fill(running, proxy)
    status = running.status()
    assert status.health.state == "degraded"
    told = "; ".join(status.health.reasons)
    assert "database: down since" in told
    assert "fallback in use" in told
    assert running.terms()["in_fallback"] == status.fallback.spans
    assert all(not equation.missing for equation in status.equations)

    folder = running.data_dir / "fallback"
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    there = [json.loads(line)["line"] for line in file.read_bytes().splitlines()]
    assert len(there) == status.fallback.tasks
    assert {line["kind"] for line in there} == {"task"}
    assert PERSON.encode() not in file.read_bytes()
    assert b"ask <EMAIL:" in file.read_bytes()

    away = running.run("fallback", "import")
    assert away.returncode == 1
    assert "batches wait still: PostgreSQL" in away.stderr
    shown = json.loads(running.run("fallback", "status", "--json").stdout)
    assert shown["batches"] == running.status().fallback.batches

    gone = there[0]["facts"]["task"]["taskId"]
    dry = running.ask("withdraw", kind="task", value=gone, dry=True)
    assert dry[0] == {"fallback_lines": 1, "fallback_spans": 5}
    withdrawn = running.ask("withdraw", kind="task", value=gone, dry=False)
    assert withdrawn[0] == dry[0]
    assert [len(key) for key in withdrawn[1]] == [2]
    assert f'"{gone}"'.encode() not in file.read_bytes()
    assert len([line for line in file.read_bytes().splitlines() if line.strip()]) == len(there) - 1

    proxy.refuse(False)
    imported = running.run("fallback", "import", "--json")
    assert imported.returncode == 0, imported.stderr
    assert json.loads(imported.stdout)["batches"] == 0
    assert_stored(running, postgres_url, [mine for mine in sent if mine.task_id != gone], erased=5)
    assert list(folder.iterdir()) == []


def test_deep_facets_of_what_went_there_are_made_of_records_alone(make, proxy, postgres_url, tmp_path):
    """Their spans are gone by then; what policies learn of them counts all the same."""
    policies = tmp_path / "policies.toml"
    policies.write_text(
        '[[ast]]\nname = "all"\nalways = true\n[[judge]]\nname = "new"\nwhen.first.agent = 1000\nalways = true\n'
    )
    with ModelEndpoint(lambda _: Reply(VOTE)).serving() as judge:
        asking = {"JUDGE_URL": judge.url, "JUDGE_MODEL": "stub", "JUDGE_VOTES": "1"}
        with make(proxy.url(postgres_url), SAMPLING=str(policies), **asking) as processor:
            sent = fill(processor, proxy)
            in_files = processor.status().fallback.tasks
            proxy.refuse(False)
            processor.wait_for(lambda status: not (status.fallback.batches or status.place.sealed_batches))
            processor.wait_for(lambda status: not status.analysis.pending)
            processor.database_url = postgres_url
            rows = processor.rows(
                "SELECT facet, status, reason, count(*)::int AS tasks FROM deep_samples GROUP BY 1, 2, 3"
            )
            made = {(row["facet"], row["status"], row["reason"]): row["tasks"] for row in rows}
            assert made[("ast", "empty", "input_gone")] == in_files > 0
            assert made[("judge", "complete", None)] == len(sent)
            assert sum(made.values()) == processor.terms("deep samples")["stored"] == 2 * len(sent)
            processor.assert_balanced()
    with Environment(tmp_path / "data" / "journal", 1 << 20) as environment:
        commit = GroupCommit(environment)
        commit.start()
        state = commit.submit(state_of).result()
        commit.stop()
    assert set(state.seen.values()) == {len(sent)}, "the agent and the tool of every task"


def test_kills_between_lose_nothing_and_store_nothing_twice(make, proxy, postgres_url):
    processor = make(proxy.url(postgres_url))
    processor.start()
    sent = fill(processor, proxy)
    processor.kill()
    processor.start()
    assert processor.status().fallback.batches
    sent += send(processor, range(12, 15))
    proxy.refuse(False)
    processor.wait_for(lambda status: status.fallback.imported)
    processor.kill()
    processor.start()
    assert_stored(processor, postgres_url, sent)
    processor.stop()


def test_the_command_imports_without_a_processor(make, proxy, postgres_url):
    processor = make(proxy.url(postgres_url))
    processor.start()
    sent = fill(processor, proxy)
    processor.kill()
    away = processor.run("fallback", "import")
    assert (away.returncode, "batches wait still: PostgreSQL" in away.stderr) == (1, True), away.stderr
    proxy.refuse(False)
    shown = json.loads(processor.run("fallback", "status", "--json").stdout)
    assert shown["batches"] > 0
    imported = processor.run("fallback", "import", "--json")
    assert imported.returncode == 0, imported.stderr
    assert f"imported {shown['batches']} of {shown['batches']} batches" in imported.stderr
    assert json.loads(imported.stdout)["batches"] == 0
    stored = select(postgres_url, "SELECT count(*) AS tasks FROM data_points")
    assert stored == [{"tasks": shown["tasks"]}]
    processor.start()
    assert_stored(processor, postgres_url, sent)
    processor.stop()


def test_a_damaged_line_costs_its_task_and_no_other(make, proxy, postgres_url):
    processor = make(proxy.url(postgres_url))
    processor.start()
    sent = fill(processor, proxy)
    processor.kill()
    (file,) = (processor.data_dir / "fallback").iterdir()
    content = bytearray(file.read_bytes())
    first = content.index(b"\n")
    content[first // 2] ^= 1
    lost = json.loads(content[first + 1 :].splitlines()[0])["line"]
    file.write_bytes(content + b'{"sum":"torn')
    proxy.refuse(False)
    processor.start()
    status = processor.wait_for(lambda status: not (status.fallback.batches or status.place.sealed_batches))
    assert status.fallback.damaged_lines == 1
    processor.settle()
    processor.assert_balanced()
    assert processor.terms()["damaged_in_fallback"] == lost["spans"] == 5
    assert processor.terms("records")["damaged_in_fallback"] == 1
    assert len(processor.rows("SELECT task_id FROM data_points")) == len(sent) - 1
    assert [path.name for path in (processor.data_dir / "fallback").iterdir()] == [f"damaged-{file.name}"]
    assert "a line is damaged" in processor.log
    processor.stop()


def test_a_full_fallback_leaves_batches_in_the_journal(make, proxy, postgres_url):
    with make(proxy.url(postgres_url), FALLBACK_MAX_BYTES="64KiB", FALLBACK_AT="0") as processor:
        proxy.refuse()
        proxy.cut()
        sent = send(processor, range(30))
        status = processor.wait_for(lambda status: status.fallback.problem)
        assert "FALLBACK_MAX_BYTES" in status.fallback.problem
        assert status.fallback.bytes <= 64 << 10
        status = processor.wait_for(lambda status: not status.place.open_tasks)
        assert status.place.sealed_batches
        proxy.refuse(False)
        assert_stored(processor, postgres_url, sent)


def test_without_a_database_from_the_start_tasks_go_there_too(make, proxy, postgres_url):
    proxy.refuse()
    processor = make(proxy.url(postgres_url))
    processor.start()
    sent = send(processor, range(12))
    processor.wait_for(lambda status: status.fallback.batches)
    proxy.refuse(False)
    assert_stored(processor, postgres_url, sent)
    processor.stop()
