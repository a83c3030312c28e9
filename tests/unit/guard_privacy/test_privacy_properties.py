# ruff: noqa: RUF001 - look-alikes are what is tested
"""What holds for every text: a second pass changes nothing, nothing is found again, documents stay documents."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.privacy_corpus import CREDENTIALS, NATIONAL, Values, negatives, positives

from collector_processor.guard.privacy import Category, Detector, Reason, Redactor, Text

VALUES = Values(3)
TOLD_BY_FORM = [
    *(getattr(VALUES, kind)().text for kind in ("email", "phone", "iban", "card", "ip", "path") for _ in range(3)),
    *(VALUES.credential(kind).text.replace("[", "").replace("]", "") for kind in CREDENTIALS),
    *(make(VALUES) for make in NATIONAL.values()),
]
KEYS = [
    "password",
    "user_id",
    "name",
    "first_name",
    "address",
    "email",
    "n",
    "customer",
    "api_key",
    "zip",
    "phone",
    "ssn",
    "token",
]
FRAGMENTS = [
    *TOLD_BY_FORM,
    *(getattr(VALUES, kind)().text for kind in ("name", "user", "address", "birth")),
    *(f"{key}{joint}" for key in KEYS for joint in (": ", "=", '": "', " is ")),
    *(sample.text for sample in negatives(4, 40)),
    *"\u200b＠١\"'{}[],:/\\@.-+ \n\x00\x07é電",
    "\\u0040",
    "%40",
    "&#64;",
    "\\n",
    '\\"',
    "<EMAIL:k2:aaaaaaaaaaaaaaaa>",
    "<WITHHELD:encoded>",
]
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=12).map("".join)
leaf = st.sampled_from(FRAGMENTS) | texts | st.integers() | st.floats() | st.booleans() | st.none()
documents = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.sampled_from(["", *KEYS]), texts), max_size=5))
@settings(max_examples=150)
def test_a_second_pass_changes_nothing(redactor: Redactor, given_texts: list[tuple[str, str]]) -> None:
    before = [Text(*each) for each in given_texts]
    once = redactor.texts(before, "acme")
    after = [Text(text.key, value) for text, value in zip(before, once.values, strict=True)]
    twice = redactor.texts(after, "acme")
    assert twice.values == once.values
    assert (twice.findings, twice.withheld) == ((), ())


@given(st.lists(st.tuples(st.sampled_from(["", *KEYS]), texts), max_size=5))
@settings(max_examples=150)
def test_no_finding_survives(
    redactor: Redactor, detectors: dict[str, Detector], given_texts: list[tuple[str, str]]
) -> None:
    before = [Text(*each) for each in given_texts]
    values = redactor.texts(before, "acme").values
    for detector in detectors.values():
        found = detector.scan([Text(text.key, value) for text, value in zip(before, values, strict=True)])
        assert (found.findings, found.withheld) == ([], [])


@given(documents, st.booleans(), st.integers(0, 2))
@settings(max_examples=150)
def test_a_document_stays_one(redactor: Redactor, document: Any, ascii_only: bool, nested: int) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, allow_nan=False) if _finite(document) else "{}"
    for _ in range(nested):
        text = json.dumps({"content": text})
    redacted = redactor.texts([Text("", text)], None)
    if not redacted.withheld or redacted.withheld[0].reason is Reason.ENCODED:
        after = json.loads(redacted.values[0])
        assert _shape(after) == _shape(json.loads(text))
    if not redacted.findings and not redacted.withheld:
        assert redacted.values == [text]


@given(texts)
@settings(max_examples=200)
def test_engines_find_the_same(detectors: dict[str, Detector], text: str) -> None:
    first, second = (detector.scan([Text("", text)]) for detector in detectors.values())
    assert first == second


@given(st.sampled_from(TOLD_BY_FORM), st.sampled_from(TOLD_BY_FORM))
def test_the_same_value_has_the_same_pseudonym(redactor: Redactor, first: str, second: str) -> None:
    values = redactor.texts(
        [Text("", f"see {first} or {second}!"), Text("other", f"again {first}, thanks")], "acme"
    ).values
    pseudonyms = [re.findall(r"<[A-Z_]+:k2:\w{16}>|/\[PATH\]/\S*\w|<WITHHELD:\w+>", value) for value in values]
    assert pseudonyms[0][0] == pseudonyms[1][0]


def test_one_text_does_not_depend_on_its_neighbours(redactor: Redactor) -> None:
    samples = [*positives(21, 300), *negatives(22, 100)]
    together = redactor.texts([Text("", sample.text) for sample in samples if not _told(sample.planted)], "acme").values
    alone = [
        redactor.texts([Text("", sample.text)], "acme").values[0] for sample in samples if not _told(sample.planted)
    ]
    assert together == alone


def _told(planted: Any) -> bool:
    """Whether something is planted that would be looked for in other texts too."""
    return any(each.category in (Category.NAME, Category.USER, Category.ADDRESS, Category.BIRTH) for each in planted)


def _finite(document: Any) -> bool:
    try:
        json.dumps(document, allow_nan=False)
    except ValueError:
        return False
    return True


def _shape(document: Any) -> Any:
    """Objects and lists as they are; keys and leaves, which may have been replaced, not looked at."""
    if isinstance(document, dict):
        return [_shape(value) for value in document.values()]
    if isinstance(document, list):
        return [_shape(value) for value in document]
    return "leaf"
