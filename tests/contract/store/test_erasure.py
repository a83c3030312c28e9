"""What was erased is in no table, doesn't come back, and every span of it is still counted, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.facts import NOON, batch, closed, evaluation, execution, key_of, late, lost, many, revise, routing, whole
from support.store import assert_balanced, counts, execute, id_of

from collector_processor.convert.union import unite
from collector_processor.model.facts import Facts
from collector_processor.store.erasure import Awaited, Kind, Marks, Request, erase, find, tenants
from collector_processor.store.figures import read_figures
from collector_processor.store.quarantine import Quarantine

ACME, OTHER = "a" * 64, "b" * 64
MIA = "<USER:k1:abcdefghijklmn23>"
TABLES = ("points", "point_keys", "awaited", "strays", "deep_samples", "audit", "erasures", "batches")
HOUR = timedelta(hours=1)


@pytest.fixture
def erased(run, store):
    """Erases what the marks find."""

    def erase_now(kind: Kind = Kind.TASK, *, ahead: Any = (), **marks: Any):
        request = Request(kind, "sha256:0", "ada", "she asked")
        return run(erase(store._database, request, Marks(**marks), ahead=ahead, journal={"open_spans": 2}))

    return erase_now


def everything(rows) -> str:
    """All rows of all tables as text."""
    return "\n".join(str(row) for name in TABLES for row in rows(f"SELECT * FROM benchmark_data.{name}"))


def says(word: str, trace: int = 1, **more: Any) -> Facts:
    """A task in whose description the word stands."""
    return whole(trace, description=f"Refund {word}, please", **more)


def test_a_task_is_gone_and_leaves_a_tombstone(run, store, erased, rows):
    run(store.apply(batch(closed(says("quince")), *many(1, first=2))))
    done = erased(task_ids=["t-1"])
    assert done.removed == {"open_spans": 2, "records": 1, "spans": 5}
    assert rows("SELECT task_id FROM benchmark.data_points") == [{"task_id": "t-2"}]
    left = everything(rows)
    assert "quince" not in left
    assert "'t-1'" not in left
    assert rows("SELECT id, erasure FROM benchmark.erased_records") == [{"id": id_of(), "erasure": done.number}]
    [entry] = rows("SELECT number, kind, subject, removed, author, reason FROM benchmark.erasures")
    assert entry == {
        "number": done.number, "kind": "task", "subject": "sha256:0", "removed": done.removed,
        "author": "ada", "reason": "she asked",
    }  # fmt: skip
    assert_balanced(rows)
    ledger = run(read_figures(store._database)).ledger
    assert (ledger.spans, ledger.in_points, ledger.erased) == (10, 5, 5)


def test_asking_again_finds_nothing(run, store, erased, rows):
    run(store.apply(batch(closed(whole()))))
    first, again = erased(task_ids=["t-1"]), erased(task_ids=["t-1"])
    assert (again.number, again.removed) == (first.number + 1, {"open_spans": 2})
    assert_balanced(rows)


def test_nothing_of_it_comes_back(run, store, erased, rows):
    run(store.apply(batch(closed(says("quince")))))
    erased(task_ids=["t-1"])
    assert counts(run(store.apply(batch(closed(says("quince")))))) == {"erased": 5}
    assert counts(run(store.apply(batch(late(Facts(executions=(execution(1, 9),))))))) == {"erased": 1}
    assert counts(run(store.apply(batch(lost(evaluation(9, 1, parent_span_id=None)))))) == {"erased": 1}
    left = everything(rows)
    assert "quince" not in left
    assert "'t-1'" not in left
    assert rows("SELECT count(*)::int AS n FROM benchmark.orphans") == [{"n": 0}]
    assert_balanced(rows)


def test_a_tenant_is_gone_from_every_place(run, store, erased, rows):
    run(
        store.apply(
            batch(
                closed(says("quince", 1, task_id="t-1", tenant=ACME)),
                closed(whole(2, task_id="t-2", tenant=OTHER)),
                lost(routing(3, 1, parent_span_id=None, task_id="t-3", rationale="quince"), tenant=ACME),
                lost(routing(4, 1, parent_span_id=None, task_id="t-4"), tenant=OTHER),
            )
        )
    )
    assert set(run(tenants(store._database))) == {ACME, OTHER}
    done = erased(Kind.TENANT, tenants=[ACME])
    assert (done.removed["records"], done.removed["orphans"], done.removed["spans"]) == (1, 1, 6)
    assert "quince" not in everything(rows)
    assert rows("SELECT task_id FROM benchmark.orphans") == [{"task_id": "t-4"}]
    again = batch(lost(routing(3, 1, parent_span_id=None, task_id="t-3", rationale="quince"), tenant=ACME))
    assert counts(run(store.apply(again))) == {"duplicate": 1}
    child = batch(lost(execution(3, 2, parent=1, task_id=None)))
    assert counts(run(store.apply(child))) == {"erased": 1}
    assert "quince" not in everything(rows)
    assert_balanced(rows)


def test_a_user_is_found_by_pseudonyms_wherever_they_stand(run, store, erased, rows):
    run(
        store.apply(
            batch(
                closed(says(MIA, 1)),
                closed(says(MIA.replace("k1", "k2"), 2, task_id="t-2")),
                closed(says("<USER:k1:somebodyelse2345>", 3, task_id="t-3")),
                late(Facts(routings=(routing(4, 2, rationale=f"as {MIA} asked"),)), trace=4),
                lost(routing(5, 1, parent_span_id=None, task_id="t-5", rationale=MIA)),
            )
        )
    )
    run(execute(store, _SAMPLE, id_of(3), NOON, f'{{"note": "{MIA}"}}'))
    pseudonyms = [MIA, MIA.replace("k1", "k2")]
    found = run(find(store._database, Marks(pseudonyms=pseudonyms)))
    assert set(found.points) == {id_of(1), id_of(2), id_of(3), id_of(4)}  # the third by its sample
    assert len(found.strays) == 1
    done = erased(Kind.USER, pseudonyms=pseudonyms)
    assert {name: done.removed[name] for name in ("records", "waiting_facts", "deep_samples", "orphans")} == {
        "records": 3, "waiting_facts": 1, "deep_samples": 1, "orphans": 1,
    }  # fmt: skip
    left = everything(rows)
    assert not [each for each in pseudonyms if each in left]
    assert_balanced(rows)


_SAMPLE = """
    INSERT INTO benchmark_data.deep_samples (id, timestamp, facet, inclusion_probability, policy, content)
    VALUES (%s, %s, 'semantic', 1, 'all', %s::text::jsonb)
"""


def test_decisions_stay_without_what_they_wrote(run, store, erased, rows):
    run(store.apply(batch(closed(whole()), closed(whole(2, task_id="t-2")))))
    quarantine = Quarantine(store._database, revise, unite)
    patch = [{"op": "replace", "path": "/task/type", "value": "research"}]
    run(quarantine.correct(id_of(1), patch, author="bo", reason="wrong", time="2026-11-23T09:00:00.000000000Z"))
    run(quarantine.discard(id_of(2), author="bo", reason="noise"))
    done = erased(task_ids=["t-1", "t-2"])
    assert (done.removed["patches"], done.removed["records"]) == (1, 2)
    assert rows("SELECT action, author, reason, patch FROM benchmark_data.audit ORDER BY entry") == [
        {"action": "correct", "author": "bo", "reason": "wrong", "patch": None},
        {"action": "discard", "author": "bo", "reason": "noise", "patch": None},
    ]
    ledger = run(read_figures(store._database)).ledger
    assert (ledger.in_points, ledger.discarded, ledger.erased) == (0, 0, 10)
    assert_balanced(rows)


def test_a_task_that_is_still_to_come_is_refused(run, store, erased, rows):
    key = key_of(f"{1:032x}", f"{1:016x}")
    done = erased(ahead=[Awaited(key, "t-1")])
    assert counts(run(store.apply(batch(closed(says("quince")))))) == {"erased": 5}
    assert rows("SELECT id, erasure FROM benchmark.erased_records") == [{"id": id_of(), "erasure": done.number}]
    assert "quince" not in everything(rows)
    assert_balanced(rows)


def test_the_statistics_follow(run, store, erased, settle, rows):
    question = "SELECT sum(total_tasks)::int AS tasks FROM benchmark.agent_statistics"
    run(store.apply(batch(*many(3))))
    settle()
    assert rows(question) == [{"tasks": 3}]
    erased(task_ids=["t-2"])
    assert rows(question) == [{"tasks": 2}]
    settle()
    assert rows(question) == [{"tasks": 2}]


def test_compressed_records_go_too(run, store, erased, rows, tier):
    tasks = [
        closed(says(MIA if n % 2 else "nobody", n, task_id=f"t-{n}", start=NOON + 3 * n * HOUR)) for n in range(1, 41)
    ]
    run(store.apply(batch(*tasks)))
    if tier in ("timescaledb", "given"):
        chunks = rows("SELECT compress_chunk(chunk) FROM show_chunks('benchmark_data.points') AS chunk")
        assert len(chunks) > 3
    done = erased(Kind.USER, pseudonyms=[MIA])
    assert (done.removed["records"], done.removed["spans"]) == (20, 100)
    assert rows("SELECT count(*)::int AS n FROM benchmark_data.points") == [{"n": 20}]
    assert MIA not in everything(rows)
    assert_balanced(rows)
