"""Attribute values: what is accepted, what is mended, what is left out, and how it is flagged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValueList
from support.lifecycle import key_values, value_of

from collector_processor.convert.values import MAX_ITEMS, MAX_TEXT_BYTES, Attributes
from collector_processor.model.facts import Anomaly, Problem
from collector_processor.model.ranges import BEYOND

CARD = 4111_1111_1111_1111
MAP = AnyValue(kvlist_value=KeyValueList(values=key_values({"a": 1})))


def reading(value: Any) -> tuple[Attributes, list[Anomaly]]:
    problems: list[Anomaly] = []
    return Attributes({"name": value_of(value)}.get, "00f067aa0ba902b7", problems), problems


def problem_of(problems: list[Anomaly]) -> Problem:
    (anomaly,) = problems
    assert anomaly.field == "name"
    assert anomaly.span_id == "00f067aa0ba902b7"
    return anomaly.problem


@pytest.mark.parametrize("kind", ["text", "number", "integer", "boolean", "texts", "numbers"])
@pytest.mark.parametrize("value", [None, "absent"])
def test_what_is_absent_or_empty_is_none_without_a_flag(kind: str, value: str | None) -> None:
    read, problems = reading(None)
    assert getattr(read, kind)("name" if value is None else "other") is None
    assert problems == []


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "beta", "beta"),
        ("text", "", None),
        ("text", 42, "42"),
        ("text", 0, "0"),
        ("number", 0.5, 0.5),
        ("number", 0.0, 0.0),
        ("number", 1, 1.0),
        ("number", 0, 0.0),
        ("integer", 7, 7),
        ("integer", 0, 0),
        ("integer", 2.0, 2),
        ("integer", -0.0, 0),
        ("integer", BEYOND - 1, BEYOND - 1),
        ("integer", 1 - BEYOND, 1 - BEYOND),
        ("number", float(BEYOND - 1), float(BEYOND - 1)),
        ("boolean", True, True),
        ("boolean", False, False),
        ("texts", ["a", "b"], ("a", "b")),
        ("texts", ["a", None, ""], ("a", None, None)),
        ("texts", "alone", ("alone",)),
        ("texts", [1, "b"], ("1", "b")),
        ("texts", [], ()),
        ("numbers", [0.5, 0.25], (0.5, 0.25)),
        ("numbers", [0.5, 0, 1], (0.5, 0.0, 1.0)),
        ("numbers", [0.5, None], (0.5, None)),
    ],
)
def test_a_change_of_type_that_loses_nothing_is_accepted(kind: str, value: Any, expected: Any) -> None:
    read, problems = reading(value)
    result = getattr(read, kind)("name")
    assert result == expected
    assert type(result) is type(expected)
    assert problems == []


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        ("text", True, Problem.WRONG_TYPE),
        ("text", 0.5, Problem.WRONG_TYPE),
        ("text", b"raw", Problem.WRONG_TYPE),
        ("text", ["a"], Problem.WRONG_TYPE),
        ("text", MAP, Problem.WRONG_TYPE),
        ("number", "0.5", Problem.WRONG_TYPE),
        ("number", True, Problem.WRONG_TYPE),
        ("number", float("nan"), Problem.NOT_FINITE),
        ("number", float("inf"), Problem.NOT_FINITE),
        ("number", float("-inf"), Problem.NOT_FINITE),
        ("integer", "12", Problem.WRONG_TYPE),
        ("integer", False, Problem.WRONG_TYPE),
        ("integer", 2.5, Problem.WRONG_TYPE),
        ("integer", float("nan"), Problem.NOT_FINITE),
        ("integer", 1e30, Problem.OUT_OF_RANGE),
        ("integer", CARD, Problem.OUT_OF_RANGE),
        ("integer", -CARD, Problem.OUT_OF_RANGE),
        ("integer", float(CARD), Problem.OUT_OF_RANGE),
        ("integer", CARD + 0.5, Problem.OUT_OF_RANGE),
        ("number", CARD, Problem.OUT_OF_RANGE),
        ("number", float(-CARD), Problem.OUT_OF_RANGE),
        ("boolean", "true", Problem.WRONG_TYPE),
        ("boolean", 1, Problem.WRONG_TYPE),
        ("texts", MAP, Problem.WRONG_TYPE),
    ],
)
def test_what_cannot_be_used_is_none_and_flagged(kind: str, value: Any, problem: Problem) -> None:
    read, problems = reading(value)
    assert getattr(read, kind)("name") is None
    assert problem_of(problems) is problem
    assert str(CARD) not in (problems[0].detail or "")


@pytest.mark.parametrize(
    ("kind", "value", "expected", "problem"),
    [
        ("numbers", [0.5, float("nan"), 0.25, float("inf")], (0.5, None, 0.25, None), Problem.NOT_FINITE),
        ("numbers", [0.5, "x", True], (0.5, None, None), Problem.WRONG_TYPE),
        ("numbers", [9e12, 9e12, 0.5, "x"], (9e12, 9e12, 0.5, None), Problem.WRONG_TYPE),
        ("numbers", [0.5, float(CARD), -9.0], (0.5, None, -9.0), Problem.OUT_OF_RANGE),
        ("texts", ["a", 0.5], ("a", None), Problem.WRONG_TYPE),
        ("texts", ["a\0b", "c"], ("ab", "c"), Problem.NUL_REMOVED),
    ],
)
def test_an_item_that_cannot_be_used_leaves_the_others(
    kind: str, value: Any, expected: tuple[Any, ...], problem: Problem
) -> None:
    read, problems = reading(value)
    assert getattr(read, kind)("name") == expected
    assert problem_of(problems) is problem


def test_numbers_that_are_large_together_are_not_by_themselves() -> None:
    read, problems = reading([9e12, 9e12])
    assert read.numbers("name") == (9e12, 9e12)
    assert problems == []


def test_nul_characters_are_removed() -> None:
    read, problems = reading("be\0t\0a")
    assert read.text("name") == "beta"
    assert problem_of(problems) is Problem.NUL_REMOVED
    assert "2" in (problems[0].detail or "")


def test_a_text_of_nothing_but_nul_is_missing() -> None:
    read, problems = reading("\0\0")
    assert read.text("name") is None
    assert problem_of(problems) is Problem.NUL_REMOVED


def test_a_text_of_ten_megabytes_is_shortened() -> None:
    read, problems = reading("x" * 10_000_000)
    assert read.text("name") == "x" * MAX_TEXT_BYTES
    assert problem_of(problems) is Problem.SHORTENED
    assert "10000000 bytes" in (problems[0].detail or "")


def test_a_list_is_cut() -> None:
    read, problems = reading(["x"] * (MAX_ITEMS + 1))
    assert read.texts("name") == ("x",) * MAX_ITEMS
    assert problem_of(problems) is Problem.SHORTENED


@given(st.text(max_size=3000))
def test_a_cleaned_text_fits_and_is_a_beginning_of_what_was_said(text: str) -> None:
    read, problems = reading(text)
    cleaned = read.text("name") or ""
    assert len(cleaned.encode()) <= MAX_TEXT_BYTES
    assert text.replace("\0", "").startswith(cleaned)
    assert bool(problems) == (cleaned != text)


def test_anomalies_never_show_a_text() -> None:
    read, problems = reading("jane@example.com")
    assert read.number("name") is None
    assert "jane" not in str(problems)
