"""Deep samples: written once, under the record's lock, with the weight that the record has."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from support.facts import NOON, batch, closed, evaluation, late, revise, whole
from support.sampled import config
from support.store import id_of

from collector_processor.app.policies import Choosing
from collector_processor.convert.union import unite
from collector_processor.model.facts import Facts
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet, Tally
from collector_processor.model.stages import Due
from collector_processor.store.erasure import Kind, Marks, Request, erase
from collector_processor.store.postgres import PostgresStore
from collector_processor.store.quarantine import Quarantine
from collector_processor.store.samples import read_ready, write_samples

POLICIES = """
[[judge]]
name = "all"
always = true
[[ast]]
name = "bad ones"
when.evaluation.overallScore.below = 0.3
always = true
[[ast]]
name = "hardly any"
probability = 1e-12
"""
DONE = Sample(
    Facet.JUDGE, "judge/1", SampleStatus.COMPLETE, None, b'{"overallScore": 0.25, "verdict": "fail"}', (), 2, 3
)
JUDGED = Due((1).to_bytes(16, "big"), (1).to_bytes(8, "big"), (Facet.JUDGE,))
WEIGHTS = "SELECT facet, inclusion_probability AS p, policy FROM benchmark.deep_samples ORDER BY facet"


def keeping(store, policies):
    """The same database with policies of its own."""
    return PostgresStore(store._database, revise, unite, sampling=Choosing(config(policies)))


@pytest.fixture
def sampling(store):
    return keeping(store, POLICIES)


def ready(run, store, id_=None):
    return run(read_ready(store._database, [id_ or id_of()])).get(id_ or id_of())


def write(run, store, *samples, id_=None):
    """Whether the point is there."""
    return bool(run(write_samples(store._database, {id_ or id_of(): samples})))


def worse():
    return late(Facts(evaluations=(evaluation(1, 9, overall_score=0.1, start=NOON + timedelta(minutes=1)),)))


def test_what_is_kept_is_in_the_ledger_however_often_the_batch_comes(run, sampling):
    first = batch(closed(whole()))
    applied = run(sampling.apply(first))
    assert applied.analyses == (JUDGED,)
    assert applied.sampling == Tally(tasks=1, kept={Facet.JUDGE: 1})
    assert run(sampling.apply(first)) == applied


def test_a_sample_is_written_once(run, sampling, rows):
    run(sampling.apply(batch(closed(whole()))))
    assert ready(run, sampling).done == frozenset()
    assert write(run, sampling, DONE)
    assert ready(run, sampling).done == {Facet.JUDGE}
    assert write(run, sampling, msgspec.structs.replace(DONE, status=SampleStatus.FAILED))
    [row] = rows("SELECT * FROM benchmark.deep_samples")
    assert (row["facet"], row["status"], row["reason"], row["bytes"], row["calls"]) == (
        "judge", "complete", None, len(DONE.content), 3,
    )  # fmt: skip
    [row] = rows("SELECT judge_score, evaluator_score, verdict FROM benchmark.judge_disagreements")
    assert (row["judge_score"], row["verdict"]) == (0.25, "fail")
    assert row["evaluator_score"] is not None


def test_a_late_fact_adds_a_facet_and_never_takes_one(run, sampling, rows):
    run(sampling.apply(batch(closed(whole()))))
    write(run, sampling, DONE)
    applied = run(sampling.apply(batch(worse())))
    assert [due.facets for due in applied.analyses] == [(Facet.AST,)]
    write(run, sampling, Sample(Facet.AST, "ast/1", SampleStatus.EMPTY, SampleReason.INPUT_GONE))
    assert rows(WEIGHTS) == [
        {"facet": "ast", "p": 1.0, "policy": "bad ones"}, {"facet": "judge", "p": 1.0, "policy": "all"},
    ]  # fmt: skip


def test_a_revision_weighs_what_was_kept_before_anew(run, store, rows):
    before = keeping(store, POLICIES.replace("1e-12", "0.999999999"))
    applied = run(before.apply(batch(closed(whole()))))
    assert applied.analyses[0].facets == (Facet.AST, Facet.JUDGE)
    syntax = Sample(Facet.AST, "ast/1", SampleStatus.COMPLETE, None, b"{}")
    write(run, before, DONE, syntax)
    assert [row["p"] for row in rows(WEIGHTS)] == [0.999999999, 1.0]
    assert run(before.apply(batch(worse()))).analyses == ()
    assert [row["p"] for row in rows(WEIGHTS)] == [1.0, 1.0]


def test_a_person_decides_nothing_about_samples(run, sampling, rows):
    run(sampling.apply(batch(closed(whole()))))
    patch = [{"op": "replace", "path": "/evaluation/overallScore", "value": 0.1}]
    quarantine = Quarantine(sampling._database, revise, unite)
    record = run(quarantine.correct(id_of(), patch, author="bo", reason="wrong", time="2026-11-23T09:00:00.000000000Z"))
    assert [each.facet for each in record.sampling.facets] == ["judge"]


@pytest.mark.parametrize("how", ["discarded", "erased", "unknown"])
def test_of_a_record_that_is_gone_nothing_is_written(run, sampling, rows, how):
    run(sampling.apply(batch(closed(whole()))))
    database, id_ = sampling._database, id_of()
    if how == "discarded":
        run(Quarantine(database, revise, unite).discard(id_, author="bo", reason="noise"))
    elif how == "erased":
        run(erase(database, Request(Kind.TASK, "t-1", "bo", "asked"), Marks(task_ids=["t-1"]), journal={}))
    else:
        id_ = uuid4()
    assert ready(run, sampling, id_) is None
    assert not write(run, sampling, DONE, id_=id_)
    assert rows("SELECT FROM benchmark_data.deep_samples") == []


def test_content_that_has_no_form_in_the_database_costs_its_sample_alone(run, sampling, rows):
    run(sampling.apply(batch(closed(whole()), closed(whole(2, task_id="t-2")))))
    odd = Sample(Facet.JUDGE, "judge/1", SampleStatus.COMPLETE, None, b'{"text": "\\u0000"}')
    both = {id_of(): [odd], id_of(2): [DONE]}
    assert run(write_samples(sampling._database, both)) == both.keys()
    assert rows("SELECT status, reason FROM benchmark.deep_samples ORDER BY status") == [
        {"status": "complete", "reason": None}, {"status": "failed", "reason": "crashed"},
    ]  # fmt: skip
    assert rows("SELECT content FROM benchmark.deep_samples WHERE status = 'failed'") == [{"content": {}}]


def test_samples_of_many_records_are_written_at_once(run, sampling, rows):
    run(sampling.apply(batch(closed(whole()), closed(whole(2, task_id="t-2")))))
    gone = uuid4()
    written = run(write_samples(sampling._database, {id_of(): [DONE], id_of(2): [], gone: [DONE]}))
    assert written == {id_of(), id_of(2)}
    found = run(read_ready(sampling._database, [id_of(), id_of(2), gone]))
    assert {id_: each.done for id_, each in found.items()} == {id_of(): {Facet.JUDGE}, id_of(2): frozenset()}


def test_without_policies_nothing_is_kept(run, store, rows):
    applied = run(store.apply(batch(closed(whole()))))
    assert (applied.analyses, applied.sampling) == ((), Tally())


def test_samples_of_a_compressed_time(run, sampling, rows, tier):
    run(sampling.apply(batch(closed(whole()))))
    write(run, sampling, DONE)
    if tier in ("timescaledb", "given"):
        assert rows("SELECT compress_chunk(chunk) FROM show_chunks('benchmark_data.deep_samples') AS chunk")
    syntax = Sample(Facet.AST, "ast/1", SampleStatus.EMPTY, SampleReason.INPUT_GONE)
    run(sampling.apply(batch(worse())))
    assert write(run, sampling, DONE, syntax)
    assert [row["facet"] for row in rows(WEIGHTS)] == ["ast", "judge"]
