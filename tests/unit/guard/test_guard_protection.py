"""The privacy pass over converted tasks: what is replaced, told, joined by, and refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from support.lifecycle import event, execution, raw_task, route, sealed, task, whole_task
from support.privacy_corpus import positives

from collector_processor.convert import convert
from collector_processor.errors import CorrectionError
from collector_processor.guard import Protector
from collector_processor.guard.privacy import Category, Keyring, Text
from collector_processor.guard.privacy.keys import category_of
from collector_processor.guard.rescan import Rescan
from collector_processor.guard.texts import COMMON, IDENTIFIERS
from collector_processor.model.facts import Facts, Problem, RoutingFact
from collector_processor.model.stages import Converted, SealKind
from otel_benchmark import attributes as a

KEY = b"a key of at least thirty-two bytes"
ACME, OTHER = a.tenant_hash(KEY, "acme"), a.tenant_hash(KEY, "other")
RING = Keyring({"k1": b"pseudonyms of sixteen bytes"}, "k1")
PROTECTOR = Protector(KEY, RING)
MAIL = "mia.li@corp.com"


def said(description: str, tenant: str | None = "acme", task_id: str = "task-1", **more: Any) -> Converted:
    attributes = {a.TASK_DESCRIPTION: description, a.TASK_ID: task_id, **({a.TENANT_ID: tenant} if tenant else {})}
    return convert(sealed(task(attributes=attributes), route(**more), execution()))


def facts_of(converted: Converted) -> Any:
    """The protected facts, of whose parts each test knows what they are."""
    facts = PROTECTOR.protect(converted).facts
    assert facts is not None
    assert facts.task is not None
    return facts


def mail(tenant: str | None, value: str = MAIL) -> str:
    return RING.pseudonym(value, Category.EMAIL, tenant)


def test_a_value_has_one_pseudonym_in_a_tenant_and_another_in_the_next() -> None:
    descriptions = [facts_of(said(f"write to {MAIL}", tenant)).task.description for tenant in ("acme", "acme", "other")]
    assert descriptions == [f"write to {mail(ACME)}"] * 2 + [f"write to {mail(OTHER)}"]
    assert mail(ACME) != mail(OTHER)


def test_what_was_replaced_is_told_without_the_value() -> None:
    facts = facts_of(said(f"write to {MAIL} or jo@corp.com", attributes={a.ROUTING_RATIONALE: f"{MAIL} likes it"}))
    told = {(each.span_id, each.field): each for each in facts.anomalies}
    assert {key: each.detail for key, each in told.items()} == {
        (facts.task.span_id, a.TASK_DESCRIPTION): "2 EMAIL",
        (facts.routings[0].span_id, a.ROUTING_RATIONALE): "1 EMAIL",
    }
    assert {each.problem for each in told.values()} == {Problem.REDACTED}


def test_a_name_that_one_text_announces_is_found_in_the_others_of_its_task_only() -> None:
    rationale = {a.ROUTING_RATIONALE: "Mia Li asked for it"}
    assert facts_of(said("", attributes=rationale)).routings[0].rationale == "Mia Li asked for it"
    announced = said('{"customer_name": "Mia Li"}', attributes=rationale)
    assert "Mia" not in facts_of(announced).routings[0].rationale, "a text that was clean a moment ago is searched too"
    assert facts_of(said("", attributes={a.ROUTING_RATIONALE: "Mia Li asked"})).routings[0].rationale == "Mia Li asked"


def test_a_text_that_cannot_be_read_is_withheld_and_told() -> None:
    nested = '"x"'
    for _ in range(7):
        nested = msgspec.json.encode(nested).decode()
    facts = facts_of(said(nested))
    assert facts.task.description == "<WITHHELD:too_deep>"
    (anomaly,) = facts.anomalies
    assert (anomaly.problem, anomaly.detail) == (Problem.TEXT_WITHHELD, "1 too_deep")


def test_a_task_id_is_the_same_for_everybody_who_names_it() -> None:
    """A router elsewhere knows the id, and not always the tenant."""
    facts = facts_of(said("{}", task_id=MAIL))
    assert facts.task.task_id == RING.pseudonym(MAIL, Category.ID, None) + mail(None)
    stray = PROTECTOR.protect(convert(sealed(route(attributes={a.TASK_ID: MAIL}), kind=SealKind.ORPHAN))).strays[0]
    assert stray.fact.task_id == facts.task.task_id


ALIKE = [
    ("/home/ada/runs/1", "/home/ada/runs/2"),
    ("run of Mia@corp.com", "run of mia@corp.com"),
    ("Y29udGFjdDogYWRhQGNvcnAuY29tLCBwbGVhc2U=", "Y29udGFjdDogYm9iQGNvcnAuY29tLCBwbGVhc2U="),
    ("run \ud800", "run \ud801"),
    ("+1 415 555 2671", "+1 (415) 555-2671"),
]


@pytest.mark.parametrize("ids", ALIKE)
def test_identifiers_stay_as_different_as_they_were(ids: tuple[str, str]) -> None:
    """Whatever is found in them: a path, an encoded part, an address, a number, no Unicode."""

    def redacted(tenant: str | None) -> dict[str, list[str]]:
        texts = [Text(key, value) for key in sorted(IDENTIFIERS) for value in ids]
        told = PROTECTOR.redact(texts, tenant)
        values = iter(told.values)
        assert not told.withheld
        return {key: [next(values), next(values)] for key in sorted(IDENTIFIERS)}

    first = redacted(ACME)
    for one, other in first.values():
        assert one != other
        assert all("<WITHHELD" not in each and "[PATH]" not in each for each in (one, other))
    assert redacted(ACME) == first
    elsewhere = redacted(OTHER)
    assert {key for key in first if first[key] == elsewhere[key]} == COMMON & IDENTIFIERS


def test_the_same_identifier_in_two_fields_stays_the_same() -> None:
    path = "/home/ada/agents/mender"
    facts = facts_of(said("{}", attributes={a.ROUTING_SELECTED_ID: path, a.ROUTING_CANDIDATE_IDS: [path, f"{path}-2"]}))
    (chosen,) = facts.routings
    ids = [each.agent_id for each in chosen.candidates]
    assert ids == [RING.pseudonym(value, Category.ID, ACME) for value in (path, f"{path}-2")]
    assert chosen.selected_id == ids[0]
    assert {each.detail for each in facts.anomalies if each.problem is Problem.REDACTED} == {"1 PATH", "2 PATH"}


def test_an_identifier_that_cannot_be_read_is_told_as_replaced() -> None:
    nested = '"x"'
    for _ in range(7):
        nested = msgspec.json.encode(nested).decode()
    facts = facts_of(said("", task_id=nested))
    assert facts.task.task_id == RING.pseudonym(nested, Category.ID, None)
    (anomaly,) = facts.anomalies
    assert (anomaly.problem, anomaly.detail) == (Problem.REDACTED, "1 ID")


def test_no_key_of_an_identifier_says_what_stands_under_it() -> None:
    """Else whatever stands there were personal data, and its pseudonyms too when they are searched again."""
    assert [key for key in IDENTIFIERS if category_of(key)] == []


def test_a_task_id_is_searched_by_itself() -> None:
    """What only another text tells of it would part it from those who don't know that text."""
    facts = facts_of(said('{"user_id": "mia_li_3668"}', task_id="mia_li_3668"))
    assert facts.task.task_id == "mia_li_3668"
    assert "mia_li" not in facts.task.description
    assert Rescan(PROTECTOR).record(facts, ACME) is None


def test_a_late_part_has_the_pseudonyms_of_the_tenant_that_it_names() -> None:
    def late(**tenant: str) -> Facts:
        spans = route(attributes={a.ROUTING_RATIONALE: MAIL, **tenant})
        facts = PROTECTOR.protect(convert(sealed(spans, kind=SealKind.LATE))).facts
        assert facts is not None
        return facts

    assert late(**{a.TENANT_ID: "acme"}).routings[0].rationale == mail(ACME)
    assert late(**{a.TENANT_HASH: OTHER}).routings[0].rationale == mail(OTHER)
    assert late().routings[0].rationale == mail(None)


def test_a_stray_is_searched_whole() -> None:
    spans = route(attributes={a.ROUTING_RATIONALE: f"ask {MAIL}", a.TENANT_ID: "acme"})
    converted = PROTECTOR.protect(convert(sealed(spans, kind=SealKind.ORPHAN)))
    (stray,) = converted.strays
    assert isinstance(stray.fact, RoutingFact)
    assert stray.fact.rationale == f"ask {mail(ACME)}"
    assert [(each.problem, each.field) for each in stray.anomalies] == [(Problem.REDACTED, a.ROUTING_RATIONALE)]


def test_every_text_of_a_whole_task_is_searched() -> None:
    """With an address planted into every text that its spans hold."""
    number = iter(range(10_000))

    def plant(values: Any) -> None:
        for item in values:
            texts = item.value.array_value.values or [item.value]
            for text in texts:
                if text.WhichOneof("value") == "string_value" and item.key != a.TENANT_HASH:
                    text.string_value += f" planted{next(number)}@corp.com"

    traces = TracesData.FromString(whole_task())
    for resource in traces.resource_spans:
        plant(resource.resource.attributes)
        for scope in resource.scope_spans:
            scope.scope.name += " scope@corp.com"
            for span in scope.spans:
                span.trace_state = f"v=state{next(number)}@corp.com"
                if span.attributes and not any(item.key == a.GEN_AI_OPERATION_NAME for item in span.attributes):
                    plant(span.attributes)
                for each in span.events:
                    plant(each.attributes)
    before = convert(raw_task(traces.SerializeToString()))
    assert msgspec.json.encode(before.facts).count(b"@corp.com") > 20
    after = PROTECTOR.protect(before)
    assert b"@corp.com" not in msgspec.json.encode(after.facts)
    assert PROTECTOR.protect(after).facts == after.facts


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([sample.text for sample in positives(7, 200)]), st.sampled_from(["acme", None]))
def test_a_second_pass_and_a_scan_find_nothing(text: str, tenant: str | None) -> None:
    once = PROTECTOR.protect(said(text, tenant, events=[event(a.EXCEPTION_EVENT, {a.EXCEPTION_MESSAGE: text})]))
    assert PROTECTOR.protect(once).facts == once.facts
    assert once.facts is not None
    assert Rescan(PROTECTOR).record(once.facts, None) is None


def test_clean_facts_are_passed_as_they_are() -> None:
    converted = said("Mend the function")
    hashed = PROTECTOR.protect(converted)
    assert PROTECTOR.protect(hashed).facts is hashed.facts
    assert facts_of(converted).anomalies == ()


def test_off_lets_texts_pass_and_hashes_tenants() -> None:
    facts = Protector(KEY, None).protect(said(MAIL)).facts
    assert facts is not None
    assert facts.task is not None
    assert (facts.task.description, facts.task.tenant) == (MAIL, ACME)


def test_a_correction_is_redacted_as_a_document() -> None:
    steps = [{"op": "replace", "path": "/task/description", "value": {"note": f"ask {MAIL}", MAIL: [MAIL, 4]}}]
    patch, reason = PROTECTOR.correction(steps, f"{MAIL} told me", ACME)
    assert patch == (
        {
            "op": "replace",
            "path": "/task/description",
            "value": {"note": f"ask {mail(ACME)}", mail(ACME): [mail(ACME), 4]},
        },
    )
    assert reason == f"{mail(ACME)} told me"


def test_a_correction_that_cannot_be_searched_is_refused() -> None:
    nested = "x"
    for _ in range(9):
        nested = msgspec.json.encode([nested]).decode()
    with pytest.raises(CorrectionError, match="can't be searched"):
        PROTECTOR.correction([{"op": "add", "path": "/task/description", "value": nested}], "", ACME)


def test_the_account_counts_and_begins_anew() -> None:
    protector = Protector(KEY, RING)
    protector.protect(said(MAIL))
    account = protector.take_account()
    assert (account.replaced, account.withheld) == ({"EMAIL": 1}, {})
    assert account.texts > 5
    assert protector.take_account().texts == 0
