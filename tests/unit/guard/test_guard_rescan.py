"""A second look at stored facts: what stands there condemns, and nothing stops it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from support.facts import BASELINE, revise, routing, whole

from collector_processor.convert.fold import FoldSettings, fold
from collector_processor.convert.union import unite
from collector_processor.errors import DetectionError
from collector_processor.guard import GateSettings, Protector, judge
from collector_processor.guard.privacy import Category, Detector, Keyring, Text
from collector_processor.guard.rescan import Rescan
from collector_processor.model.facts import Correction, Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, Severity, State, point_id
from collector_processor.model.stages import Mended
from otel_benchmark import attributes as a

RING = Keyring({"k1": b"pseudonyms of sixteen bytes"}, "k1")
RESCAN = Rescan(Protector(None, RING))
ID = point_id(b"t" * 16, b"s" * 8)
MAIL = "mia.li@corp.com"
TOO_DEEP = "x"
for _ in range(9):
    TOO_DEEP = msgspec.json.encode([TOO_DEEP]).decode()
MILD = GateSettings(severities=dict.fromkeys(("pii", "secrets", "text-withheld"), Severity.WARNING))


def mail(tenant: str | None = None) -> str:
    return RING.pseudonym(MAIL, Category.EMAIL, tenant)


def mended(facts: Facts) -> Mended:
    found = RESCAN.record(facts, None)
    assert found is not None
    return found


def judged(facts: Facts, settings: GateSettings) -> BenchmarkDataPoint:
    return judge(fold(ID, facts, 2, FoldSettings()), settings).point


def severities(point: BenchmarkDataPoint) -> dict[str, Severity]:
    assert point.verdict is not None
    return {each.gate: each.severity for each in point.verdict.gates_failed}


def test_what_stands_there_still_is_told_and_replaced() -> None:
    found = mended(whole(description=f"{MAIL} and Bearer {'abc123XYZ' * 4}"))
    assert (dict(found.found), dict(found.withheld)) == ({"EMAIL": 1, "CREDENTIAL": 1}, {})
    assert found.facts.task is not None
    assert MAIL not in str(found.facts)
    told = {(each.field, each.problem, each.detail) for each in found.facts.anomalies}
    assert told == {
        (a.TASK_DESCRIPTION, Problem.PERSONAL_DATA, "1 EMAIL"),
        (a.TASK_DESCRIPTION, Problem.CREDENTIAL, "1 CREDENTIAL"),
        ("pii", Problem.CONDEMNED, None),
        ("secrets", Problem.CONDEMNED, None),
    }
    assert RESCAN.record(found.facts, None) is None


@pytest.mark.parametrize(
    ("said", "gate"), [(MAIL, "pii"), (f"ghp_{'a1B2c3D4e5F6' * 3}", "secrets"), (TOO_DEEP, "text-withheld")]
)
def test_it_condemns_whatever_the_severities_are_set_to_and_in_later_revisions(said: str, gate: str) -> None:
    facts = mended(whole(description=said)).facts
    point = judged(facts, MILD)
    assert severities(point)[gate] is Severity.CRITICAL
    assert point.state is State.QUARANTINED
    later = unite(facts, Facts(routings=(routing(span=9, rationale="it came late"),)))
    assert severities(judged(later, MILD))[gate] is Severity.CRITICAL
    assert (gate, Severity.CRITICAL) in MILD.severities_in_force()


def test_without_the_mark_the_configured_severity_holds() -> None:
    facts = mended(whole(description=MAIL)).facts
    anomalies = tuple(each for each in facts.anomalies if each.problem is not Problem.CONDEMNED)
    assert severities(judged(msgspec.structs.replace(facts, anomalies=anomalies), MILD))["pii"] is Severity.WARNING


def test_a_text_that_nobody_can_read_is_withheld() -> None:
    found = mended(whole(description=TOO_DEEP))
    assert (dict(found.found), dict(found.withheld)) == ({}, {"too_deep": 1})
    assert found.facts.task is not None
    assert found.facts.task.description == "<WITHHELD:too_deep>"


def test_a_patch_that_nobody_can_read_becomes_none_at_all() -> None:
    patch = ({"op": "add", "path": "/task/description", "value": TOO_DEEP},)
    correction = Correction("f" * 48, "2026-11-22T12:00:00.000000000Z", "ada", f"as {MAIL} said", patch)
    found = mended(msgspec.structs.replace(whole(), corrections=(correction,)))
    (kept,) = found.facts.corrections
    assert (kept.patch, kept.reason, kept.author) == ((), f"as {mail()} said", "ada")
    assert severities(judged(found.facts, MILD)).keys() >= {"pii", "text-withheld"}


def test_the_type_in_the_baseline_is_searched_as_the_task_s_is() -> None:
    facts = whole(type=MAIL)
    found = mended(msgspec.structs.replace(facts, baseline=msgspec.structs.replace(BASELINE, task_type=MAIL)))
    assert found.facts.task is not None
    assert found.facts.baseline is not None
    assert found.facts.task.type == found.facts.baseline.task_type == mail()


def test_texts_beside_records_keep_their_order() -> None:
    texts = [("corrections.reason", f"ask {MAIL}"), ("corrections.reason", "no"), ("content", TOO_DEEP)]
    assert RESCAN.texts(texts, "ab") == [f"ask {mail('ab')}", "no", "<WITHHELD:too_deep>"]
    assert RESCAN.texts(texts[1:2], "ab") is None


def test_what_stands_in_deep_samples_condemns_like_what_stands_in_the_record() -> None:
    said = {"messages": [{"role": "user", "parts": [{"content": f"ask {MAIL}"}], "spanId": "4111111111111111"}]}
    found = RESCAN.record(whole(description=MAIL), None, {"conversation": said, "ast": {"files": ["a.py"], "n": 4}})
    assert found is not None
    assert dict(found.found) == {"EMAIL": 2}
    (message,) = found.samples["conversation"]["messages"]
    assert (message["parts"], message["spanId"]) == ([{"content": f"ask {mail()}"}], "4111111111111111")
    assert found.samples.keys() == {"conversation"}
    assert {(each.field, each.detail) for each in found.facts.anomalies} == {
        (a.TASK_DESCRIPTION, "1 EMAIL"), ("deep_samples.conversation", "1 EMAIL"), ("pii", None),
    }  # fmt: skip
    assert severities(judged(found.facts, MILD))["pii"] is Severity.CRITICAL
    assert RESCAN.record(found.facts, None, found.samples) is None


@pytest.mark.parametrize(
    ("said", "gate"), [(MAIL, "pii"), (f"ghp_{'a1B2c3D4e5F6' * 3}", "secrets"), (TOO_DEEP, "text-withheld")]
)
def test_a_sample_alone_condemns_a_record(said: str, gate: str) -> None:
    found = RESCAN.record(whole(), None, {"reflection": {"text": said}})
    assert found is not None
    assert severities(judged(found.facts, MILD))[gate] is Severity.CRITICAL


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Detection raises on one word."""
    inspect = Detector.inspect

    def inspected(self: Detector, texts: Sequence[Text], *more: Any) -> Any:
        if any("quince" in text.value for text in texts):
            raise RuntimeError("of quince")
        return inspect(self, texts, *more)

    monkeypatch.setattr(Detector, "inspect", inspected)


@pytest.mark.usefixtures("failing")
def test_a_record_on_which_detection_fails_keeps_its_texts_and_is_condemned_once() -> None:
    facts = whole(description=f"quince {MAIL}")
    with pytest.raises(DetectionError, match=rf"^detection fails in {a.TASK_DESCRIPTION}$"):
        RESCAN.record(facts, None)
    with pytest.raises(DetectionError, match=r"^detection fails in deep_samples\.judge$"):
        RESCAN.record(whole(), None, {"judge": {"reasoning": "quince"}})
    condemned = RESCAN.condemn(revise(ID, facts, 1).point, "detection fails")
    assert condemned is not None
    assert (condemned.state, condemned.revision, condemned.task.description) == (
        State.QUARANTINED,
        2,
        f"quince {MAIL}",
    )
    assert severities(condemned)["text-withheld"] is Severity.CRITICAL
    assert severities(judged(condemned.facts, MILD))["text-withheld"] is Severity.CRITICAL
    assert RESCAN.condemn(condemned, "detection fails") is None


@pytest.mark.usefixtures("failing")
def test_what_waits_for_its_record_is_withheld_where_detection_fails() -> None:
    found = RESCAN.facts(Facts(routings=(routing(rationale="quince"),)), None)
    assert found is not None
    assert (found.facts.routings[0].rationale, dict(found.withheld)) == ("<WITHHELD:failed>", {"failed": 1})
