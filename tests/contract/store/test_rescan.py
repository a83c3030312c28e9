"""A second look at stored records: every page of them, mended in place, on every tier."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from support.facts import NOON, batch, closed, evaluation, late, lost, many, revise, routing, whole
from support.store import assert_balanced, counts, id_of

from collector_processor.convert.union import unite
from collector_processor.guard.rescan import condemn
from collector_processor.model.facts import Facts, Problem
from collector_processor.model.record import State
from collector_processor.model.stages import Disclosure
from collector_processor.store import rescan as under_test
from collector_processor.store.figures import read_figures
from collector_processor.store.quarantine import Quarantine
from collector_processor.store.rescan import BEGINNING, Mended, rescan

FOUND = [Disclosure("0" * 15 + "1", "arbiter.task.description", Problem.PERSONAL_DATA, "EMAIL")]


def look(facts, tenant):
    """Finds the word `quince`, wherever it stands."""
    written = msgspec.json.encode(facts)
    if b"quince" not in written:
        return None
    mended = msgspec.json.decode(written.replace(b"quince", b"<>"), type=Facts)
    return Mended(mended, {"EMAIL": 1}, lambda point: condemn(point, FOUND))


def rename(namespace):
    return namespace.replace("quince", "<>")


def scan(run, store, **more):
    return run(rescan(store._database, look, rename, revise, **{"since": BEGINNING, "limit": None} | more))


def test_every_page_is_read_and_compressed_records_are_mended(run, store, rows, tier, monkeypatch):
    monkeypatch.setattr(under_test, "_PAGE", 7)
    said = {n: "pear" if n % 4 else "quince" for n in range(1, 21)}
    tasks = [
        closed(whole(n, task_id=f"t-{n}", start=NOON + n * timedelta(hours=5), description=word))
        for n, word in said.items()
    ]
    run(store.apply(batch(*tasks, lost(routing(50, 1, parent_span_id=None, task_id="t-50", rationale="quince")))))
    if tier in ("timescaledb", "given"):
        assert len(rows("SELECT compress_chunk(chunk) FROM show_chunks('benchmark_data.points') AS chunk")) > 3
    assert scan(run, store, limit=3).records == 3
    scanned = scan(run, store)
    assert (scanned.records, scanned.strays) == (20, 0)
    assert {each.id for each in scanned.violations} == {id_of(n) for n in (4, 8, 12, 16, 20)}
    assert scanned.violations[0].source == "arbiter"
    assert rows("SELECT count(*)::int AS n FROM benchmark.data_points") == [{"n": 15}]
    assert rows("SELECT count(*)::int AS n FROM benchmark.quarantine") == [{"n": 5}]
    assert "quince" not in str(rows("SELECT record FROM benchmark_data.points"))
    assert "quince" not in str(rows("SELECT fact FROM benchmark_data.strays"))
    assert run(read_figures(store._database)).collection["privacy_violations"] == 5
    assert scan(run, store).violations == []
    assert_balanced(rows)


def test_a_release_ends_and_a_discarded_record_stays_so(run, store, rows):
    run(store.apply(batch(*many(1), closed(whole(2, task_id="t-2", description="quince")))))
    quarantine = Quarantine(store._database, revise, unite)
    run(quarantine.discard(id_of(2), author="bo", reason="noise"))
    [violation] = scan(run, store).violations
    assert violation.id == id_of(2)
    record = run(quarantine.show(id_of(2)))
    assert (record.state, record.task.description, record.revision) == (State.DISCARDED, "<>", 2)
    [_, entry] = run(quarantine.trail(id_of(2)))
    assert (entry.action, entry.author, entry.reason) == ("scan", "privacy scan", "1 EMAIL")
    assert_balanced(rows)


def test_a_mended_stray_still_joins(run, store, rows):
    run(store.apply(batch(lost(evaluation(9, 1, parent_span_id=None, rubric_version="quince")))))
    assert scan(run, store).strays == 1
    run(store.apply(batch(*many(1))))
    record = run(Quarantine(store._database, revise, unite).show(id_of()))
    assert "<>" in {each.rubric_version for each in record.facts.evaluations}
    assert counts(run(store.apply(batch(late(Facts(evaluations=(evaluation(1, 9),)))))))["in_points"] == 1
    assert_balanced(rows)


def test_the_namespace_of_a_stray_is_mended(run, store, rows):
    both = [lost(evaluation(n, 1, parent_span_id=None), namespace=each) for n, each in ((8, "prod"), (9, "of quince"))]
    run(store.apply(batch(*both)))
    assert scan(run, store).strays == 1
    assert {row["namespace"] for row in rows("SELECT namespace FROM benchmark_data.strays")} == {"prod", "of <>"}
    assert scan(run, store).strays == 0
