"""What was erased is in no table, doesn't come back, and every span of it is still counted, once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.facts import NOON, batch, closed, evaluation, execution, key_of, late, lost, many, revise, routing, whole
from support.store import assert_balanced, counts, execute, id_of

from collector_processor.convert.union import unite
from collector_processor.model.facts import Facts
from collector_processor.store import standing
from collector_processor.store.contribution import group
from collector_processor.store.erasure import Awaited, Erasure, Kind, Marks, Request, erase, find, tenants
from collector_processor.store.figures import read_figures
from collector_processor.store.maintenance import retire
from collector_processor.store.quarantine import Quarantine
from collector_processor.store.standings import read_standings
from collector_processor.store.tiers import Lifetimes
from collector_processor.store.writing import Rules, Work, write

ACME, OTHER = "a" * 64, "b" * 64
MIA = "<USER:k1:abcdefghijklmn23>"
TABLES = (
    "points", "point_keys", "awaited", "strays", "deep_samples", "audit", "erasures", "standing_erasures", "batches",
)  # fmt: skip
HOUR = timedelta(hours=1)
WAITING = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'ExclusiveLock' AND relation IS NOT NULL"


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


def test_facts_that_wait_for_their_task_are_of_the_tenant_that_any_of_them_names(run, store, erased, rows):
    waits = [
        late(Facts(routings=(routing(1, 2, rationale="quince"),)), tenant=ACME),
        late(Facts(routings=(routing(2, 2, rationale="quince"),)), trace=2),
        late(Facts(routings=(routing(3, 2),)), trace=3, tenant=OTHER),
    ]
    run(store.apply(batch(*waits)))
    run(store.apply(batch(late(Facts(executions=(execution(1, 3),))))))
    run(store.apply(batch(lost(execution(2, 4, parent=2, task_id=None), tenant=ACME))))
    assert set(run(tenants(store._database))) == {ACME, OTHER}
    done = erased(Kind.TENANT, tenants=[ACME])
    assert (done.removed["waiting_facts"], done.removed["spans"]) == (2, 4)
    assert "quince" not in everything(rows)
    assert rows("SELECT id FROM benchmark_data.awaited") == [{"id": id_of(3)}]
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


def test_a_task_of_which_nothing_had_come_is_refused_when_it_comes(run, store, erased, rows):
    done = erased(task_ids=["t-1"])
    assert done.removed == {"open_spans": 2}
    assert counts(run(store.apply(batch(closed(says("quince")), closed(whole(2, task_id="t-2")))))) == {
        "erased": 5, "in_points": 5, "accepted": 1,
    }  # fmt: skip
    again = batch(closed(says("quince", 3)), late(Facts(executions=(execution(1, 9, task_id=None),))))
    assert counts(run(store.apply(again))) == {"erased": 6}, "another attempt, and what is late for the first"
    assert rows("SELECT id, erasure FROM benchmark.erased_records ORDER BY id") == [
        {"id": id_of(number), "erasure": done.number} for number in (1, 3)
    ]
    assert "quince" not in everything(rows)
    assert_balanced(rows)


def test_strays_of_it_are_refused_with_what_hangs_on_them(run, store, erased, rows):
    erased(task_ids=["t-1"])
    stray, other = (lost(routing(trace, 1, parent_span_id=None, task_id=f"t-{trace}")) for trace in (1, 2))
    assert counts(run(store.apply(batch(stray, other)))) == {"erased": 1, "orphaned": 1}
    child = lost(execution(1, 2, parent=1, task_id=None, failure_reason="quince"))
    assert counts(run(store.apply(batch(child)))) == {"erased": 1}
    standings = run(read_standings(store._database, [], [f"{1:032x}{number:016x}" for number in (1, 2)]))
    assert [standing.shown for standing in standings.of_strays.values()] == [False, False]
    assert "quince" not in everything(rows)
    assert_balanced(rows)


def test_facts_that_waited_without_a_name_go_when_their_task_tells_it(run, store, erased, rows):
    early = Facts(executions=(execution(1, 9, task_id=None, failure_reason="quince"),))
    assert counts(run(store.apply(batch(late(early))))) == {"in_points": 1}
    erased(task_ids=["t-1"])
    assert "quince" in everything(rows)
    assert counts(run(store.apply(batch(closed(says("quince")))))) == {"erased": 5}
    assert "quince" not in everything(rows)
    ledger = run(read_figures(store._database)).ledger
    assert (ledger.in_points, ledger.erased) == (0, 6)
    assert_balanced(rows)


def test_a_task_that_is_there_stays_when_a_late_part_names_an_erased_one(run, store, erased, rows):
    run(store.apply(batch(closed(whole(1, task_id="t-9")))))
    erased(task_ids=["t-1"])
    part = late(Facts(executions=(execution(1, 9, task_id="t-1"),)))
    assert counts(run(store.apply(batch(part)))) == {"in_points": 1, "revised": 1}
    assert_balanced(rows)


def test_the_wish_ends_after_a_month(run, store, erased, rows):
    erased(task_ids=["t-1", "t-2"])
    [standing] = rows("SELECT DISTINCT until - now() < '30 days' AS soon FROM benchmark_data.standing_erasures")
    assert standing == {"soon": True}
    run(execute(store, "UPDATE benchmark_data.standing_erasures SET until = now()"))
    assert counts(run(store.apply(batch(closed(says("quince")))))) == {"in_points": 5, "accepted": 1}


def test_names_that_are_no_longer_refused_are_forgotten(run, store, url, erased, rows):
    erased(task_ids=["t-1", "t-2"])
    later = datetime.now(UTC) + timedelta(days=29)
    run(retire(url, Lifetimes(), later))
    assert rows("SELECT count(*)::int AS n FROM benchmark_data.standing_erasures") == [{"n": 2}]
    run(retire(url, Lifetimes(), later + timedelta(days=2)))
    assert rows("SELECT count(*)::int AS n FROM benchmark_data.standing_erasures") == [{"n": 0}]


def test_who_writes_at_that_moment_is_waited_for(run, store, open_store, rows, full_server):
    """What he stores is found: he had asked before the name was refused."""

    async def scenario() -> Erasure:
        given = group(batch(closed(says("quince"))), unite).contributions
        request = Request(Kind.TASK, "sha256:0", "ada", "")
        async with open_store() as other:
            async with store._database.writing() as writer:
                assert await standing.refuse(writer, given, ()) == ((), 0)
                erasing = asyncio.create_task(erase(other._database, request, Marks(task_ids=["t-1"]), journal={}))
                while not erasing.done() and not rows(WAITING):  # noqa: ASYNC110 - the event is in a database
                    await asyncio.sleep(0.01)
                assert not erasing.done()
                await write(writer, Work(given), Rules(revise, unite, timedelta(seconds=1)))
            return await erasing

    assert run(scenario()).removed == {"records": 1, "spans": 5}
    assert "quince" not in everything(rows)


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
