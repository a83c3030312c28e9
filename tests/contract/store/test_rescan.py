"""A second look at stored records: every page of them, mended in place, on every tier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from support.facts import NOON, batch, closed, evaluation, late, lost, many, revise, routing, whole
from support.searching import Searching
from support.store import assert_balanced, counts, execute, id_of

from collector_processor.convert.union import unite
from collector_processor.errors import UnfitError
from collector_processor.model.facts import Facts, Problem
from collector_processor.model.record import State
from collector_processor.store import rescan as under_test
from collector_processor.store.erasure import Kind, Marks, Request, erase
from collector_processor.store.figures import read_figures
from collector_processor.store.maintenance import retire
from collector_processor.store.quarantine import Quarantine
from collector_processor.store.rescan import BEGINNING, Scan
from collector_processor.store.tiers import Lifetimes

LATE = late(Facts(routings=(routing(1, 9, rationale="it came late"),)))


def scan(run, store, limit=None, *, halting=False):
    return run(Scan(store._database, Searching(), revise, halting=halting).run(BEGINNING, limit))


@pytest.fixture
def quarantine(store):
    return Quarantine(store._database, revise, unite)


@pytest.fixture
def plant(run, store):
    """Put a text into the deep samples of a record, one a facet."""

    def plant(text, trace=1, facets=("conversation",)):
        for facet in facets:
            run(
                execute(
                    store,
                    "INSERT INTO benchmark_data.deep_samples"
                    " (id, timestamp, facet, inclusion_probability, policy, content)"
                    f" SELECT id, timestamp, '{facet}', 0.5, 'some', jsonb_build_object('said', '{text}'::text)"
                    f" FROM benchmark_data.points WHERE id = '{id_of(trace)}'"
                    " ON CONFLICT (timestamp, id, facet) DO UPDATE SET content = excluded.content",
                )
            )

    return plant


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
    assert (scanned.records, scanned.elsewhere, scanned.unsearched) == (20, {}, [])
    assert {each.id for each in scanned.violations} == {id_of(n) for n in (4, 8, 12, 16, 20)}
    assert scanned.violations[0].source == "arbiter"
    assert rows("SELECT count(*)::int AS n FROM benchmark.data_points") == [{"n": 15}]
    assert rows("SELECT count(*)::int AS n FROM benchmark.quarantine") == [{"n": 5}]
    assert "quince" not in str(rows("SELECT record FROM benchmark_data.points"))
    assert "quince" not in str(rows("SELECT fact FROM benchmark_data.strays"))
    assert run(read_figures(store._database)).collection["privacy_violations"] == 5
    assert scan(run, store).violations == []
    assert_balanced(rows)


def test_violations_stay_counted_when_the_trail_is_retired(run, url, store, rows):
    run(store.apply(batch(closed(whole(description="quince")), *many(1, first=2))))
    scan(run, store)
    later = datetime.now(UTC) + timedelta(days=3)
    for _ in range(2):
        run(retire(url, Lifetimes(retain_records=None, retain_statistics=timedelta(days=1)), later))
        assert rows("SELECT FROM benchmark_data.audit") == []
        assert run(read_figures(store._database)).collection["privacy_violations"] == 1
    run(store.apply(batch(closed(whole(4, task_id="t-4", description="quince")))))
    scan(run, store)
    assert run(read_figures(store._database)).collection["privacy_violations"] == 2


def test_a_discarded_record_stays_so(run, store, rows, quarantine):
    run(store.apply(batch(*many(1), closed(whole(2, task_id="t-2", description="quince")))))
    run(quarantine.discard(id_of(2), author="bo", reason="noise"))
    [violation] = scan(run, store).violations
    assert violation.id == id_of(2)
    record = run(quarantine.show(id_of(2)))
    assert (record.state, record.task.description, record.revision) == (State.DISCARDED, "<>", 2)
    [_, entry] = run(quarantine.trail(id_of(2)))
    assert (entry.action, entry.author, entry.reason) == ("scan", "privacy scan", "1 EMAIL")
    assert_balanced(rows)


def test_a_person_releases_what_a_scan_condemned(run, store, rows, quarantine):
    run(store.apply(batch(closed(whole(description="quince")))))
    scan(run, store)
    assert run(quarantine.revalidate(id_of(), author="bo", reason="")).state is State.QUARANTINED
    released = run(quarantine.release(id_of(), author="bo", reason="it is redacted"))
    assert (released.state, released.revision) == (State.RELEASED, 3)
    assert [each.problem for each in released.facts.anomalies] == [Problem.REDACTED]
    assert rows("SELECT task_id FROM benchmark.exportable") == [{"task_id": "t-1"}]
    run(store.apply(batch(LATE)))
    assert run(quarantine.show(id_of())).state is State.RELEASED
    assert_balanced(rows)


# -- Deep samples ----------------------------------------------------------------------------------------------


def test_what_stands_in_a_deep_sample_condemns_its_record(run, store, rows, quarantine, plant, tier):
    tasks = {1: "pear", 2: "pear", 3: "quince"}
    run(store.apply(batch(*[closed(whole(n, task_id=f"t-{n}", description=said)) for n, said in tasks.items()])))
    plant("as quince said", trace=1, facets=("conversation", "judge"))
    plant("as the pear said", trace=2)
    plant("quince", trace=3)
    if tier in ("timescaledb", "given"):
        assert rows("SELECT compress_chunk(chunk) FROM show_chunks('benchmark_data.deep_samples') AS chunk")
    scanned = scan(run, store, halting=True)
    assert {each.id: each.found for each in scanned.violations} == {id_of(1): {"EMAIL": 2}, id_of(3): {"EMAIL": 2}}
    assert (scanned.elsewhere, scanned.unsearched) == ({}, [])
    contents = "SELECT content ->> 'said' AS said, bytes FROM benchmark_data.deep_samples ORDER BY id, facet"
    said = ["as <> said", "as <> said", "as the pear said", "<>"]
    assert sorted(row["said"] for row in rows(contents)) == sorted(said)
    assert {row["bytes"] for row in rows(contents) if row["said"] == "<>"} == {len('{"said":"<>"}')}
    record = run(quarantine.show(id_of(1)))
    assert (record.state, record.revision) == (State.QUARANTINED, 2)
    assert {(each.field, each.problem) for each in record.facts.anomalies} == {
        ("conversation", Problem.PERSONAL_DATA), ("judge", Problem.PERSONAL_DATA), ("pii", Problem.CONDEMNED),
    }  # fmt: skip
    assert rows("SELECT task_id FROM benchmark.data_points") == [{"task_id": "t-2"}]
    assert rows("SELECT task_id FROM benchmark.deep_samples") == [{"task_id": "t-2"}]
    assert [entry.reason for entry in run(quarantine.trail(id_of(1)))] == ["2 EMAIL"]
    assert rows("SELECT source, found FROM benchmark_data.privacy_halts") == [{"source": "arbiter", "found": "2 EMAIL"}]
    assert run(read_figures(store._database)).collection["privacy_violations"] == 2
    again = scan(run, store)
    assert (again.records, again.violations, again.elsewhere) == (3, [], {})
    assert run(quarantine.show(id_of(1))) == record
    assert_balanced(rows)


def test_a_released_record_is_condemned_for_what_its_sample_says_later(run, store, rows, quarantine, plant):
    run(store.apply(batch(closed(whole(description="quince")))))
    scan(run, store)
    run(quarantine.release(id_of(), author="bo", reason="it is redacted"))
    plant("quince")
    assert [each.id for each in scan(run, store).violations] == [id_of()]
    assert run(quarantine.show(id_of())).state is State.QUARANTINED
    assert run(quarantine.release(id_of(), author="bo", reason="so is that")).state is State.RELEASED
    assert rows("SELECT content FROM benchmark.deep_samples") == [{"content": {"said": "<>"}}]
    assert scan(run, store).violations == []
    assert_balanced(rows)


def test_the_samples_of_a_discarded_record_are_mended_and_it_stays_so(run, store, rows, quarantine, plant):
    run(store.apply(batch(*many(1))))
    plant("quince")
    run(quarantine.discard(id_of(), author="bo", reason="noise"))
    assert [each.id for each in scan(run, store).violations] == [id_of()]
    assert run(quarantine.show(id_of())).state is State.DISCARDED
    assert "quince" not in str(rows("SELECT content FROM benchmark_data.deep_samples"))
    assert_balanced(rows)


def test_nothing_is_found_of_a_record_that_was_erased(run, store, rows, quarantine, plant):
    run(store.apply(batch(*many(2))))
    plant("quince")
    marks = Marks(task_ids=[run(quarantine.show(id_of())).task.id])
    run(erase(store._database, Request(Kind.TASK, "t-1", "bo", "asked"), marks, journal={}))
    scanned = scan(run, store)
    assert (scanned.records, scanned.violations, scanned.elsewhere) == (1, [], {})
    assert_balanced(rows)


def test_a_sample_that_can_t_be_searched_withholds_its_record(run, store, rows, plant):
    run(store.apply(batch(*many(2))))
    plant("a medlar")
    scanned = scan(run, store, halting=True)
    assert ([each.id for each in scanned.unsearched], scanned.violations) == ([id_of()], [])
    assert rows("SELECT content FROM benchmark_data.deep_samples") == [{"content": {"said": "a medlar"}}]
    assert rows("SELECT FROM benchmark.deep_samples") == rows("SELECT FROM benchmark_data.privacy_halts") == []
    assert_balanced(rows)


# -- Beside records --------------------------------------------------------------------------------------------


def test_a_mended_stray_still_joins_and_condemns_its_record(run, store, rows, quarantine):
    run(store.apply(batch(lost(evaluation(9, 1, parent_span_id=None, rubric_version="quince"), namespace="quince"))))
    assert scan(run, store).elsewhere == {"waiting spans": 1}
    assert rows("SELECT namespace FROM benchmark_data.strays") == [{"namespace": "<>"}]
    run(execute(store, "UPDATE benchmark_data.strays SET namespace = NULL"))
    run(store.apply(batch(*many(1))))
    record = run(quarantine.show(id_of()))
    assert "<>" in {each.rubric_version for each in record.facts.evaluations}
    assert record.state is State.QUARANTINED
    assert counts(run(store.apply(batch(late(Facts(evaluations=(evaluation(1, 9),)))))))["in_points"] == 1
    assert_balanced(rows)


def test_what_can_t_be_searched_is_withheld_and_stops_nothing(run, store, rows, quarantine):
    tasks = {1: "medlar", 2: "pear", 3: "quince"}
    run(store.apply(batch(*[closed(whole(n, task_id=f"t-{n}", description=said)) for n, said in tasks.items()])))
    run(quarantine.discard(id_of(2), author="bo", reason="noise"))
    run(execute(store, "UPDATE benchmark_data.points SET record = record - 'task' WHERE task_id = 't-2'"))
    scanned = scan(run, store, halting=True)
    assert {each.id: each.problem.split(":")[0] for each in scanned.unsearched} == {
        id_of(1): "RuntimeError",
        id_of(2): "ValidationError",
    }
    assert [each.id for each in scanned.violations] == [id_of(3)]
    assert rows("SELECT count(*)::int AS n FROM benchmark.data_points") == [{"n": 0}]
    assert rows("SELECT id FROM benchmark_data.privacy_halts") == [{"id": id_of(3)}]
    unreadable = (
        "SELECT state, withheld, gates_failed, gate_severities FROM benchmark_data.points WHERE task_id = 't-2'"
    )
    [row] = rows(unreadable)
    assert (row["state"], row["withheld"]) == ("discarded", True)
    assert dict(zip(row["gates_failed"], row["gate_severities"], strict=True))["text-withheld"] == "critical"
    record = run(quarantine.show(id_of(1)))
    assert (record.state, record.task.description, record.revision) == (State.QUARANTINED, "medlar", 2)
    with pytest.raises(UnfitError, match="can't be read"):
        run(quarantine.show(id_of(2)))
    again = scan(run, store)
    assert (again.violations, len(again.unsearched)) == ([], 2)
    assert run(quarantine.show(id_of(1))) == record
    assert run(read_figures(store._database)).collection["privacy_violations"] == 3
    run(store.apply(batch(LATE)))
    assert run(quarantine.show(id_of(1))).state is State.QUARANTINED
    assert_balanced(rows)


def test_a_fact_that_nobody_can_read_is_counted(run, store, rows):
    strays = [lost(routing(n, 1, parent_span_id=None, task_id=f"t-{n}", rationale="quince")) for n in (5, 6)]
    run(store.apply(batch(*strays)))
    run(execute(store, "UPDATE benchmark_data.strays SET fact = '{}' WHERE task_id = 't-5'"))
    assert scan(run, store).elsewhere == {"waiting spans": 1, "waiting spans that can't be read": 1}
    assert "quince" not in str(rows("SELECT fact FROM benchmark_data.strays"))


def test_corrections_of_an_unreadable_patch_go_on_without_it(run, store, quarantine):
    run(store.apply(batch(closed(whole()))))
    patch = [{"op": "replace", "path": "/task/complexity", "value": "medlar"}]
    run(quarantine.correct(id_of(), patch, author="bo", reason="", time="2026-11-22T12:00:00.000000000Z"))
    scanned = scan(run, store)
    assert [each.id for each in scanned.unsearched] == [id_of()]
    assert msgspec.json.encode(run(quarantine.show(id_of())).facts.corrections[0].patch) == msgspec.json.encode(patch)


def test_the_namespace_of_a_stray_is_mended(run, store, rows):
    both = [lost(evaluation(n, 1, parent_span_id=None), namespace=each) for n, each in ((8, "prod"), (9, "of quince"))]
    run(store.apply(batch(*both)))
    assert scan(run, store).elsewhere == {"waiting spans": 1}
    assert {row["namespace"] for row in rows("SELECT namespace FROM benchmark_data.strays")} == {"prod", "of <>"}
    assert scan(run, store).elsewhere == {}
