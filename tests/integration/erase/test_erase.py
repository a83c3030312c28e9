"""`erase` beside a real processor: gone from the journal and the database, and refused when it comes again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.backend import backend
from support.lifecycle import evaluation, execution, route, task, tool_call
from support.processor import Processor, own

from otel_benchmark import attributes as a

PERSON = "mia_li_3668"
WORD = "quince"
TABLES = (
    "points", "point_keys", "awaited", "strays", "deep_samples", "audit", "erasures", "standing_erasures", "batches",
)  # fmt: skip


def spans(*, tenant: str | None = None, note: str = WORD) -> list[Span]:
    """A whole task in whose texts the note stands."""
    said = {a.TASK_DESCRIPTION: f"Refund {note} now"} | ({a.TENANT_ID: tenant} if tenant else {})
    why = {a.ROUTING_RATIONALE: f"because of {note}"}
    return [task(attributes=said), route(attributes=why), execution(), tool_call(), evaluation()]


def everything(processor: Processor) -> str:
    """All rows of all tables as text."""
    with psycopg.connect(processor.database_url) as connection:
        return "\n".join(
            str(row) for name in TABLES for row in connection.execute(f"SELECT * FROM benchmark_data.{name}").fetchall()
        )


def erase(processor: Processor, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command; what it printed as JSON."""
    ran = processor.run("erase", *arguments, "--yes", "--author", "ada", "--reason", "she asked", "--json")
    assert ran.returncode == code, (ran.stdout, ran.stderr, processor.log)
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def test_a_task_is_gone_everywhere_and_stays_away(processor: Processor) -> None:
    mine, other = own(*spans()), own(*spans(note="medlar"))
    processor.send(*mine.spans, *other.spans)
    processor.settle()
    assert WORD in everything(processor)
    done = erase(processor, "--task", mine.task_id)
    assert (done["kind"], done["number"], done["waiting"]) == ("task", 1, 0)
    assert done["removed"] == {"records": 1, "spans": 5}
    left = everything(processor)
    assert WORD not in left
    assert mine.task_id not in left
    assert processor.rows("SELECT task_id FROM data_points") == [{"task_id": other.task_id}]
    assert processor.rows("SELECT kind, author, reason FROM erasures") == [
        {"kind": "task", "author": "ada", "reason": "she asked"}
    ]
    late = tool_call(77)
    processor.send(*own(late, task_id=mine.task_id, trace_id=mine.trace_id).spans)
    judged = evaluation(parent=None, attributes={a.GEN_AI_EVALUATION_EXPLANATION: WORD})
    processor.send(*own(judged, task_id=mine.task_id).spans)
    processor.flush()
    assert processor.rows("SELECT count(*)::int AS n FROM orphans") == [{"n": 0}]
    assert mine.task_id not in everything(processor)
    assert processor.terms("database spans")["erased"] == 7
    processor.assert_balanced()


def test_a_task_that_comes_only_after_the_wish_is_refused_and_forwarded_nowhere(
    make: Callable[..., Processor],
) -> None:
    with backend("grpc") as to, make(FORWARD_ENDPOINT=to.endpoint, FORWARD_PROTOCOL="grpc") as processor:
        mine, other = own(*spans(), task_id="/home/mia/runs/1"), own(*spans(note="medlar"), task_id="/home/mia/runs/2")
        done = erase(processor, "--task", mine.task_id)
        assert (done["removed"], done["refused_days"]) == ({}, 30)
        judged = evaluation(parent=None, attributes={a.GEN_AI_EVALUATION_EXPLANATION: WORD})
        processor.send(*own(judged, task_id=mine.task_id).spans)
        processor.send(*mine.spans, *other.spans)
        processor.settle()
        processor.flush()
        assert len(processor.rows("SELECT FROM data_points")) == 1
        assert processor.rows("SELECT FROM orphans") == []
        assert WORD not in everything(processor)
        assert processor.terms("database spans")["erased"] == 6
        processor.assert_balanced()
        processor.stop()
        assert len(to.of(other.trace_id)) == len(to.spans) == 5


@pytest.mark.parametrize("running", [True, False])
def test_open_spans_go_and_their_task_is_refused(make: Callable[..., Processor], running: bool) -> None:
    processor = make().start()
    mine, other = own(*spans(tenant="acme")), own(*spans(note="medlar", tenant="other"))
    for span in (*mine.spans, *other.spans):
        if a.TENANT_ID not in {each.key for each in span.attributes}:
            tenant = "acme" if span in mine.spans else "other"
            span.attributes.add(key=a.TENANT_ID).value.string_value = tenant
    processor.send(*mine.spans[1:], *other.spans[1:])  # without their tasks, so they stay open
    before = keys(processor)
    if not running:
        processor.stop()
    looked = json.loads(processor.run("erase", "--tenant", "acme", "--dry-run", "--json").stdout)
    assert looked["removed"] == {"open_spans": 4}
    done = erase(processor, "--tenant", "acme")
    assert done["removed"] == {"open_spans": 4}
    assert not set(before.values()) & set(keys(processor).values()), "a key outlived what it had encrypted"
    if not running:
        processor.start()
    assert processor.terms()["erased"] == 4
    processor.send(mine.spans[0], other.spans[0])
    processor.settle()
    assert processor.rows("SELECT task_id FROM data_points") == [{"task_id": other.task_id}]
    assert len(processor.record(other.task_id)["facts"]["toolCalls"]) == 1
    assert WORD not in everything(processor)
    assert processor.terms("database spans")["erased"] == 1
    again = processor.terms()["duplicate"]
    processor.send(*mine.spans[1:])
    assert processor.terms()["duplicate"] == again + 4
    processor.assert_balanced()
    processor.stop()


def keys(processor: Processor) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (processor.data_dir / "journal" / "keys").iterdir()}


def test_a_user_is_found_by_pseudonyms_under_every_key(make: Callable[..., Processor]) -> None:
    old, new = (f"k{n}={str(n) * 64}" for n in (1, 2))
    first, second, nobody = (own(*spans(note=note)) for note in (f'{{"user_id": "{PERSON}"}}',) * 2 + ("medlar",))
    with make(PRIVACY_KEYS=old) as processor:
        processor.send(*first.spans)
        processor.settle()
    with make(PRIVACY_KEYS=f"{new}\n{old}") as processor:
        processor.send(*second.spans, *nobody.spans)
        processor.settle()
        assert all(each in everything(processor) for each in ("<USER:k1:", "<USER:k2:"))
        done = erase(processor, "--user", PERSON)
        assert done["removed"] == {"records": 2, "spans": 10}
        assert done["subject"].startswith("<USER:k2:")
        assert processor.rows("SELECT task_id FROM data_points") == [{"task_id": nobody.task_id}]
        assert PERSON not in everything(processor)
        processor.assert_balanced()


def test_a_tenant_is_found_under_former_keys(make: Callable[..., Processor]) -> None:
    old, new = ("the tenants' key of last year", "the tenants' key of this year")
    first, second, other = own(*spans(tenant="acme")), own(*spans(tenant="acme")), own(*spans(tenant="other"))
    with make(TENANT_KEY=old) as processor:
        processor.send(*first.spans)
        processor.settle()
    with make(TENANT_KEY=new, FORMER_TENANT_KEYS=old) as processor:
        processor.send(*second.spans, *other.spans)
        processor.settle()
        done = erase(processor, "--tenant", "acme")
        assert (done["subject"], done["removed"]["records"]) == (a.tenant_hash(new.encode(), "acme"), 2)
        assert processor.rows("SELECT task_id FROM data_points") == [{"task_id": other.task_id}]
        processor.assert_balanced()


def test_what_is_sealed_while_the_database_is_away_is_refused_when_it_is_stored(
    make: Callable[..., Processor],
) -> None:
    mine, other = own(*spans()), own(*spans(note="medlar"))
    with make(DATABASE_URL="postgresql://127.0.0.1:1/nowhere", DRAIN_TIMEOUT="100ms") as away:
        away.send(*mine.spans, *other.spans)
        away.wait_for(lambda status: status.place.sealed_tasks == 2)
    processor = make()
    assert processor.run("database", "migrate").returncode == 0
    assert erase(processor, "--task", mine.task_id)["removed"] == {"sealed_spans": 5}
    with processor:
        processor.settle()
        assert processor.rows("SELECT task_id FROM data_points") == [{"task_id": other.task_id}]
        assert WORD not in everything(processor)
        assert processor.terms("database spans")["erased"] == 5
        processor.assert_balanced()


def test_a_reason_may_name_the_person_and_is_stored_without_the_name(processor: Processor) -> None:
    said = f"{PERSON} (mia.li@corp.com) asked"
    ran = processor.run("erase", "--user", PERSON, "--yes", "--author", "ada", "--reason", said)
    assert ran.returncode == 0, ran.stderr
    (row,) = processor.rows("SELECT reason FROM erasures")
    assert re.fullmatch(r"<NAME:k1:\w{16}> \(<EMAIL:k1:\w{16}>\) asked", row["reason"])
    mine = own(*spans())
    processor.send(*mine.spans)
    processor.settle()
    (record,) = processor.rows("SELECT id FROM data_points")
    discarded = ("quarantine", "discard", str(record["id"]), "--author", "ada", "--reason", "for mia.li@corp.com")
    assert processor.run(*discarded).returncode == 0
    assert "mia.li" not in everything(processor)


def test_nothing_goes_from_the_journal_while_the_database_can_not_keep_a_tombstone(
    make: Callable[..., Processor],
) -> None:
    mine = own(*spans())
    with make(DATABASE_URL="postgresql://127.0.0.1:1/nowhere", DRAIN_TIMEOUT="100ms") as away:
        away.send(*mine.spans[1:])
        ran = away.run("erase", "--task", mine.task_id, "--yes", "--author", "ada")
        assert ran.returncode == 1
        assert "connection" in ran.stderr
        assert away.status().place.open_spans == 4


def test_what_can_not_be_done_is_said(make: Callable[..., Processor]) -> None:
    processor = make(PRIVACY="off", TENANT_KEY="")
    for arguments, words in (
        (("--user", PERSON), "COLLECTOR_PROCESSOR_PRIVACY is off"),
        (("--tenant", "acme"), "COLLECTOR_PROCESSOR_TENANT_KEY is not set"),
        (("--task", " "), "--task is empty"),
    ):
        ran = processor.run("erase", *arguments, "--yes")
        assert words in ran.stderr
        assert (ran.returncode != 0, ran.stdout) == (True, "")
    ran = processor.run("erase", "--task", "t-1")
    assert "add --yes, or look first with --dry-run" in ran.stderr
