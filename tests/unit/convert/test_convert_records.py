"""Evaluations that log records say: the same facts as events on the span that was judged."""

from __future__ import annotations

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from support.lifecycle import ARRIVED, T0, TRACE, event, execution, model_call, payload, raw_task, sealed, span_id, task
from support.logs import CONTENT, evaluated, log, sealed_records, with_records
from support.records import facts_from

from collector_processor.convert.task import convert
from collector_processor.errors import DamagedEntryError
from collector_processor.model.facts import Facts
from collector_processor.model.stages import SealKind, record_id
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a

TENANT = {a.TENANT_ID: "acme"}


def test_a_record_with_its_task_is_one_of_its_facts():
    converted = convert(with_records(sealed(task(), execution()), evaluated(0.7, span=3), log(CONTENT, span=3)))
    assert converted.spans == 4
    assert converted.facts is not None
    (fact,) = converted.facts.evaluations
    assert (fact.trace_id, fact.span_id, fact.parent_span_id) == (TRACE.hex(), span_id(3).hex(), None)
    assert (fact.overall_score, fact.evaluator.name, fact.logged, fact.joined) == (0.7, "afterwards", True, False)
    assert [(gate.name, gate.score) for gate in fact.quality_gates] == [("relevance", 0.7)]
    assert fact.start == fact.end == to_text(T0 + 650_000_000)


@pytest.mark.parametrize("order", [1, -1])
def test_a_copy_as_an_event_of_the_span_is_the_same_fact(order):
    record = evaluated(0.7, span=3)
    said = {each.key: each.value for each in record.attributes}
    on_span = execution(events=[event(a.GEN_AI_EVALUATION_EVENT, said, at=650)])
    (told,) = facts_from(sealed(task(), on_span)).evaluations
    both = convert(with_records(sealed(task(), on_span), record))
    assert both.facts is not None
    (fact,) = both.facts.evaluations
    assert told.fact_id == fact.fact_id
    assert both.spans == 3


def test_the_older_form_says_its_name_in_an_attribute():
    record = evaluated(0.7)
    record.event_name = ""
    record.attributes.add(key=a.EVENT_NAME).value.string_value = a.GEN_AI_EVALUATION_EVENT
    assert [each.overall_score for each in facts_from(with_records(sealed(task()), record)).evaluations] == [0.7]


def test_an_event_that_only_mentions_an_evaluation_is_none():
    record = log(CONTENT, {"note": a.GEN_AI_EVALUATION_EVENT})
    assert facts_from(with_records(sealed(task()), record)).evaluations == ()


def test_an_evaluation_event_on_any_span_of_the_task_counts():
    said = {a.GEN_AI_EVALUATION_NAME: "relevance"}
    asked = model_call(7, attributes={a.GEN_AI_OPERATION_NAME: "embeddings"})
    asked.events.append(event(a.GEN_AI_EVALUATION_EVENT, said))
    (fact,) = facts_from(sealed(task(), asked)).evaluations
    assert fact.span_id == span_id(7).hex()


def test_without_a_time_of_its_own_a_record_is_of_its_arrival_and_still_known_again():
    record = evaluated(time_unix_nano=0)
    (observed,) = facts_from(with_records(sealed(task()), record)).evaluations
    assert observed.end == to_text(record.observed_time_unix_nano)
    record.observed_time_unix_nano = 0
    raw = with_records(sealed(task()), record)
    (arrived,) = facts_from(raw).evaluations
    assert arrived.end == to_text(ARRIVED)
    ((_, body, positions),) = raw.logs
    (later,) = facts_from(raw._replace(logs=[(ARRIVED + 5, body, positions)])).evaluations
    assert later.fact_id == arrived.fact_id


def test_a_late_record_names_its_tenant():
    converted = convert(sealed_records(evaluated(attributes=TENANT)))
    assert (converted.tenant, converted.spans) == ("acme", 1)
    assert converted.facts is not None
    assert converted.facts.task is None


def test_late_content_alone_says_nothing():
    converted = convert(sealed_records(log(CONTENT)))
    assert (converted.facts, converted.spans) == (Facts(), 1)


def test_a_stray_record_looks_for_the_span_that_it_names():
    converted = convert(sealed_records(evaluated(span=7, attributes=TENANT), kind=SealKind.ORPHAN))
    (stray,) = converted.strays
    assert (stray.parent_id, stray.namespace, stray.tenant) == (span_id(7), "acme", "acme")
    assert stray.key.hex == stray.fact.fact_id
    assert (stray.fact.joined, stray.fact.span_id) == (True, span_id(7).hex())


def test_a_stray_without_a_span_has_its_task_s_id_alone():
    (stray,) = convert(sealed_records(evaluated(span=0, attributes={a.TASK_ID: "t"}), kind=SealKind.ORPHAN)).strays
    assert (stray.parent_id, stray.fact.span_id, stray.fact.task_id) == (bytes(8), "", "t")


def test_what_was_cleaned_in_a_record_is_flagged_under_its_span():
    record = evaluated(attributes={a.EVALUATION_OVERALL_SCORE: "high"}, span=7)
    facts = facts_from(with_records(sealed(task()), record))
    assert [(each.span_id, each.field) for each in facts.anomalies] == [(span_id(7).hex(), a.EVALUATION_OVERALL_SCORE)]


def test_a_record_that_cannot_be_decoded_harms_no_other():
    raw = with_records(sealed(task()), evaluated(), evaluated(0.1))
    ((arrived, body, positions),) = raw.logs
    broken = body.replace(b"afterwards", b"\xff" * 10, 1)
    converted = convert(raw._replace(logs=[(arrived, broken, positions)]))
    assert converted.facts is not None
    assert [each.overall_score for each in converted.facts.evaluations] == [0.1]
    (undecodable,) = converted.undecodable
    assert undecodable.key == (TRACE, record_id(undecodable.raw))
    assert b"\xff" * 10 in undecodable.raw
    assert converted.spans == 2


def test_a_payload_that_is_no_logs_data_is_damage():
    raw = raw_task(payload([task()]))._replace(logs=[(ARRIVED, b"\xff", (0,))])
    with pytest.raises(DamagedEntryError):
        convert(raw)


def test_nonsense_in_place_of_values_is_read_without_an_error():
    record = LogRecord(trace_id=TRACE, span_id=b"short", event_name=a.GEN_AI_EVALUATION_EVENT)
    (fact,) = facts_from(with_records(sealed(task()), record)).evaluations
    assert (fact.span_id, fact.overall_score) == ("", None)
