"""Personal data and credentials, planted wherever a text can stand: no output has them, and pseudonyms stand there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

from integration.privacy.conftest import TENANT_KEY, Protected
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.backend import attributes_of
from support.lifecycle import evaluation, event, execution, foreign, key_values, model_call, route, task, tool_call
from support.lifecycle import payload as traces_of
from support.planted import DOMAIN, Planting, address
from support.processor import gates, own, wait_until

from otel_benchmark import attributes as a

Start = Callable[..., Protected]
ACME, OTHER = (a.tenant_hash(TENANT_KEY.encode(), name) for name in ("acme", "other"))
CARD = 4111_1111_1111_1111
FREE = {
    a.TASK_DESCRIPTION: "Mend it",
    a.TASK_REQUIREMENTS: ["python", "tests"],
    a.GEN_AI_CONVERSATION_ID: "conversation",
    a.TASK_GROUP_ID: "group",
    a.TASK_PARENT_ID: "parent",
}


def everywhere() -> list[Span]:
    """A task's spans with a text of every kind."""
    gate = event(
        a.GEN_AI_EVALUATION_EVENT,
        {a.GEN_AI_EVALUATION_NAME: "tests", a.GEN_AI_EVALUATION_EXPLANATION: "green", a.GATE_PASSED: True},
    )
    failure = event(a.EXCEPTION_EVENT, {a.EXCEPTION_TYPE: "ValueError", a.EXCEPTION_MESSAGE: "wrong"})
    content = {a.GEN_AI_TOOL_CALL_ARGUMENTS: '{"to": "x"}', a.GEN_AI_TOOL_CALL_RESULT: "done"}
    candidates = {a.ROUTING_CANDIDATE_IDS: ["alpha", "beta"], a.ROUTING_CANDIDATE_REASONS: ["new", "known"]}
    return [
        task(attributes=FREE, events=[failure]),
        route(attributes={a.ROUTING_RATIONALE: "fits", a.ROUTING_STRATEGY: "fallback", **candidates}),
        execution(attributes={a.GEN_AI_REQUEST_MODEL: "m-1", a.ERROR_TYPE: "Error"}, events=[failure], error="bad"),
        tool_call(attributes=content, events=[failure], error="bad"),
        model_call(5, attributes={a.GEN_AI_REQUEST_MODEL: "m-1"}),
        foreign(6),
        evaluation(
            attributes={a.EVALUATOR_NAME: "rubric", a.CAWS_SPEC_ID: "spec", a.CAWS_WAIVERS: ["w"]}, events=[gate]
        ),
    ]


def test_nothing_planted_leaves(protected: Start) -> None:
    """In one task at every place; in a late evaluation, in strays that find their task and in some that don't."""
    running, planting = protected(), Planting()
    processor = running.processor
    mine = own(*everywhere(), task_id=address("task-id"))
    for span in mine.spans:
        planting.span(span)
        span.attributes.extend(key_values({a.TENANT_ID: address("tenant")}))
    resource = planting.resource({a.SERVICE_NAME: "arbiter", a.SERVICE_NAMESPACE: "prod", "host.name": "h"})
    processor.send(*mine.spans, resource=resource, scope=planting.text("scope", "scope"))
    processor.settle()
    late = evaluation(20, attributes={a.GEN_AI_EVALUATION_EXPLANATION: "late", a.EVALUATOR_NAME: "late"})
    stray = route(30, parent=0, trace_id=uuid.uuid4().bytes, attributes={a.ROUTING_RATIONALE: "stray"})
    lost = route(31, parent=0, trace_id=uuid.uuid4().bytes, attributes={a.TASK_ID: address("nobody's")})
    for span in own(late, trace_id=mine.trace_id, task_id=mine.task_id).spans:
        processor.send(planting.span(span), resource=resource)
    for attribute in stray.attributes:
        if attribute.key == a.TASK_ID:
            attribute.value.string_value = mine.task_id
    processor.send(planting.span(stray), planting.span(lost), resource=resource)
    assert processor.run("flush").returncode == 0
    processor.settle()
    wait_until(lambda: len(running.backend.of(mine.trace_id)) == len(mine.spans) + 1)
    processor.assert_balanced()

    (row,) = processor.rows("SELECT id, task_id, record FROM data_points")
    corrected = [{"op": "replace", "path": "/task/description", "value": address("correction")}]
    told = processor.run("quarantine", "correct", str(row["id"]), json.dumps(corrected), "--reason", address("reason"))
    assert told.returncode == 0, told.stderr
    assert planting.found_in(running.outputs()) == []
    assert planting.found_in([("answer", (told.stdout + told.stderr).encode())]) == []

    wait_until(lambda: (done := processor.status().forward) is not None and done.replaced.get("EMAIL", 0) > 5)
    forwarded = attributes_of(running.backend.of(mine.trace_id)[bytes(7) + b"\1"])
    assert row["task_id"] == forwarded[a.TASK_ID]
    assert row["task_id"].endswith(running.pseudonym(mine.task_id, None))
    record = row["record"]
    tenant = a.tenant_hash(TENANT_KEY.encode(), address("tenant"))
    group = running.pseudonym(address(f"{a.TASK_GROUP_ID}-01"), tenant)
    assert group in forwarded[a.TASK_GROUP_ID]
    assert group in record["task"]["groupId"]
    assert record["tenantId"] == tenant
    description = running.pseudonym(address(f"{a.TASK_DESCRIPTION}-01"), tenant)
    assert description in record["task"]["description"]
    assert {each["problem"] for each in record["facts"]["anomalies"]} >= {"redacted"}
    (after,) = processor.rows("SELECT record FROM data_points")
    assert after["record"]["task"]["description"] == running.pseudonym(address("correction"), tenant)
    # The late evaluation and the stray have found it by its id.
    assert {fact["spanId"] for fact in after["record"]["facts"]["evaluations"]} >= {f"{9:016x}", f"{20:016x}"}
    assert {fact["spanId"] for fact in after["record"]["facts"]["routings"]} == {f"{2:016x}", f"{30:016x}"}
    processor.stop()
    assert planting.found_in([("log", processor.log.encode())]) == []


def test_a_card_that_is_sent_as_a_number_leaves_nowhere(protected: Start, tmp_path: Path) -> None:
    """In counts and scores, in lists and maps, and where a text belongs."""
    policies = tmp_path / "policies.toml"
    policies.write_text('[[conversation]]\nname = "all"\nalways = true\n')
    running = protected(SAMPLING=str(policies))
    charge = AnyValue(kvlist_value=KeyValueList(values=key_values({"amount": 12, "cards": [CARD, float(CARD)]})))
    counts = {a.GEN_AI_USAGE_INPUT_TOKENS: CARD, a.EXECUTION_COST_USD: float(CARD), a.EXECUTION_CPU_TIME_MS: -CARD}
    candidates = {a.ROUTING_CANDIDATE_IDS: ["alpha", "beta"], a.ROUTING_CANDIDATE_SCORES: [0.5, float(CARD)]}
    mine = own(
        task(attributes={a.TASK_DESCRIPTION: CARD, a.TASK_REQUIREMENTS: [CARD, "tests"], a.TASK_ATTEMPT: CARD}),
        route(attributes=candidates),
        execution(attributes=counts),
        tool_call(attributes={a.GEN_AI_TOOL_CALL_ARGUMENTS: charge, a.GEN_AI_TOOL_CALL_RESULT: CARD}),
        evaluation(attributes={a.EVALUATION_OVERALL_SCORE: float(CARD)}),
    )
    processor = running.processor
    processor.send(*mine.spans)
    processor.settle()
    processor.wait_for(lambda status: status.analysis and not status.analysis.pending)
    wait_until(lambda: len(running.backend.of(mine.trace_id)) == len(mine.spans))
    told = [name for name, content in running.outputs() if str(CARD).encode() in content]
    assert told == []
    forwarded = running.backend.of(mine.trace_id)
    assert str(CARD) not in str(forwarded)
    assert f"{float(CARD)}" not in str(forwarded)
    (row,) = processor.rows("SELECT record FROM data_points")
    assert row["record"]["task"]["description"].startswith("<CARD:")
    problems = {each["field"]: each["problem"] for each in row["record"]["facts"]["anomalies"]}
    assert {problems[name] for name in (*counts, a.TASK_ATTEMPT, a.ROUTING_CANDIDATE_SCORES)} == {"out_of_range"}
    (sample,) = processor.rows("SELECT content FROM deep_samples")
    assert json.dumps(sample["content"]).count("<CARD:") >= 2
    processor.stop()


def test_a_value_is_the_same_in_a_tenant_and_another_in_the_next(protected: Start) -> None:
    running = protected()
    processor = running.processor
    value = f"mia@{DOMAIN}"
    for tenant in ("acme", "acme", "other"):
        said = {a.TASK_DESCRIPTION: f"Write to {value}", a.TENANT_ID: tenant}
        mine = own(task(attributes=said), route(), execution(), tool_call(), evaluation())
        processor.send(*mine.spans)
    processor.settle()
    rows = processor.rows("SELECT tenant_id, record FROM data_points")
    assert sorted((row["tenant_id"], row["record"]["task"]["description"]) for row in rows) == sorted(
        (tenant, f"Write to {running.pseudonym(value, tenant)}") for tenant in (ACME, ACME, OTHER)
    )
    assert not any({"pii", "secrets"} & gates(row["record"]).keys() for row in rows)
    status = processor.status()
    assert status.privacy is not None
    assert status.privacy.replaced == {"EMAIL": 3}
    assert status.privacy.texts > 30
    metrics = processor.admin("/metrics").body.decode()
    assert 'otel_benchmark_privacy_replaced_total{category="EMAIL"} 3.0' in metrics
    assert "3 EMAIL" in processor.run("status").stdout
    processor.stop()


def test_the_key_stays_over_a_restart_and_is_shown_nowhere(protected: Start) -> None:
    running = protected()
    before = running.pseudonym("x@y.com", ACME)
    path = running.processor.data_dir / "privacy.keys"
    assert path.stat().st_mode & 0o777 == 0o600
    secret = path.read_bytes().strip().partition(b"=")[2]
    assert len(secret) == 64
    running.processor.stop()
    running.processor.start()
    assert running.pseudonym("x@y.com", ACME) == before
    shown = [name for name, content in running.outputs() if secret in content]
    assert shown == ["privacy.keys"]
    running.processor.stop()


def test_a_key_file_that_others_could_read_stops_the_start(protected: Start) -> None:
    running = protected()
    running.processor.stop()
    path = running.processor.data_dir / "privacy.keys"
    path.chmod(0o640)
    refused = running.processor.run("serve")
    assert refused.returncode == 2
    assert f"{path} (keys of pseudonyms) must be yours alone" in refused.stderr


def test_after_a_rotation_new_pseudonyms_are_under_the_new_key(protected: Start) -> None:
    running = protected(PRIVACY_KEYS="k2=0123456789abcdef,k1=fedcba9876543210")
    processor = running.processor
    assert not (processor.data_dir / "privacy.keys").exists()
    mine = own(task(attributes={a.TASK_DESCRIPTION: f"mia@{DOMAIN}"}), route(), execution(), evaluation())
    processor.send(*mine.spans)
    processor.settle()
    assert processor.record(mine.task_id)["task"]["description"].startswith("<EMAIL:k2:")
    status = processor.status()
    assert status.privacy is not None
    assert status.privacy.keys == ("k2", "k1")
    assert "0123456789abcdef" not in processor.run("config", "show").stdout
    processor.stop()


def test_off_is_told(protected: Start) -> None:
    running = protected(PRIVACY="off")
    processor = running.processor
    mine = own(task(attributes={a.TASK_DESCRIPTION: f"mia@{DOMAIN}"}), route(), execution(), evaluation())
    processor.send(*mine.spans)
    processor.settle()
    assert processor.record(mine.task_id)["task"]["description"] == f"mia@{DOMAIN}"
    status = processor.status()
    assert status.privacy is None
    assert "privacy" in {off.what for off in status.off}
    assert Planting().found_in(running.outputs()), "the search that finds nothing elsewhere finds nothing at all"
    assert not (processor.data_dir / "privacy.keys").exists()
    processor.stop()


def test_answers_and_logs_do_not_quote_what_was_sent(protected: Start) -> None:
    """Requests that can't be taken, wholly or in part."""
    running = protected()
    processor = running.processor
    mail = address("request").encode()
    bodies = (b'{"resourceSpans": "' + mail + b'"}', b'{"resourceSpans": [{"' + mail + b'": 1}]}', b"{" + mail, mail)
    for body in bodies:
        for content_type in ("application/json", "application/x-protobuf"):
            processor.post(body, content_type)
    nameless = Span(trace_id=b"short", span_id=mail[:8], name=mail.decode())
    processor.post(traces_of([nameless]))
    assert Planting().found_in([("log", processor.log.encode()), ("metrics", processor.admin("/metrics").body)]) == []
    processor.stop()
