"""Host values become attribute values, or are missing."""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_benchmark import values


class Color(Enum):
    RED = "red"
    ONE = 1


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("host code must not run")


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


@given(st.text(alphabet=st.characters()), st.integers(min_value=3, max_value=100))
def test_a_shortened_text_is_valid_utf8_within_its_bytes_and_a_prefix(text, limit):
    short = values.shorten(text, limit)
    assert len(short.encode()) <= limit
    clean = text.encode("utf-8", "replace").decode()
    assert short == clean or (short.endswith("…") and clean.startswith(short[:-1]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("", None),
        (7, "7"),
        (True, None),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Color.RED, "red"),
        (Color.ONE, "1"),
        (Text("t"), "t"),
        (object(), None),
        (1.5, None),
        (None, None),
    ],
)
def test_identifiers(value, expected):
    assert values.identifier(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (0.5, 0.5),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (True, None),
        ("1", None),
        (10**400, None),
        (None, None),
    ],
)
def test_numbers(value, expected):
    assert values.number(value) == expected


def test_what_is_no_number_by_arithmetic_passes_for_the_gates_to_flag():
    assert math.isnan(values.number(math.nan) or 0)
    assert values.number(math.inf) == math.inf


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (3.0, 3),
        (3.5, None),
        (np.int64(4), 4),
        (True, None),
        (2**63, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_integers(value, expected):
    assert values.integer(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), (False, False), (1, None), ("yes", None), (np.bool_(True), True)]
)
def test_flags(value, expected):
    assert values.flag(value) is expected


def test_lists():
    assert values.texts(["a", 1, object(), "b"]) == ["a", "1", "b"]
    assert values.texts("one") == ["one"]
    assert values.texts(deque(["a"])) == ["a"]
    assert values.texts([]) == []
    assert values.texts([object()]) is None
    assert values.texts({"a": 1}) is None
    assert values.amounts([1, None, "x", 0.5]) == [1.0, None, None, 0.5]
    assert values.amounts("12") is None
    assert len(values.texts(["x"] * 1000) or ()) == values.LIST_ITEMS


def test_texts():
    assert values.text("x" * 5000) == "x" * (values.TEXT_BYTES - 3) + "…"
    assert values.text(ValueError("why")) == "why"
    assert values.text(UnprintableError()) == "UnprintableError"
    assert values.text(5) is None


@dataclass
class Message:
    role: str
    content: object


def test_content_is_json_of_data_and_names_what_it_can_not_read():
    message = Message("user", OrderedDict(text="hi", when=UUID(int=1), other=lambda: 0, error=ValueError("bad")))
    assert values.content([message]) == (
        '[{"role": "user", "content": {"text": "hi", "when": "00000000-0000-0000-0000-000000000001", '
        '"other": "<function>", "error": {"type": "ValueError", "message": "bad"}}}]'
    )
    assert values.content("as it is") == "as it is"
    assert values.content(None) is None


def test_content_is_bounded_in_depth_and_size():
    endless: list[object] = []
    endless.append(endless)
    assert len(values.content(endless) or "") < 100
    assert len((values.content(["x" * 1000] * 1000) or "").encode()) <= values.CONTENT_BYTES


def test_content_of_objects_that_refer_to_one_another_ends():
    shared: list[object] = []
    for _ in range(8):
        shared = [shared] * 1000  # 10²⁴ paths to follow
    assert len((values.content(shared) or "").encode()) <= values.CONTENT_BYTES
    assert values.content(["short"] * 3) == '["short", "short", "short"]'
