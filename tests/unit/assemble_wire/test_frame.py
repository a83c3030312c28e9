"""Requests whose parts are too many to be parsed are refused; all others pass, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.assemble import frame, wire
from collector_processor.errors import RequestTooLargeError


def field(number: int, content: bytes) -> bytes:
    length, prefix = len(content), b""
    while length > 0x7F:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + prefix + bytes([length]) + content


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (field(1, b"") * 100_001, "100,000 resources and scopes"),
        (field(1, field(2, b"") * 100_001), "100,000 resources and scopes"),
        (field(1, field(1, b"") * 100_001), "100,000 resources and scopes"),
        (b"\x28\x01" * 100_001, "100,000 resources and scopes"),
        (b"\x2b" * 100_001, "100,000 resources and scopes"),
        (field(1, field(2, field(2, b"") * 1_000_001)), "1,000,000 spans"),
        (field(1, field(2, field(2, b"") * 500_001) * 2), "1,000,000 spans"),
        (field(1, field(2, b"\x28\x01" * 1_000_001)), "1,000,000 spans"),
    ],
)
def test_a_crowd_is_refused(body, says):
    with pytest.raises(RequestTooLargeError, match=says):
        wire.split(body)


def test_as_many_as_allowed_pass():
    frame.refuse_crowd(field(1, field(2, b"")) * 50_000)
    frame.refuse_crowd(field(1, field(2, field(2, b"") * 1_000_000)))


def test_a_root_of_very_many_fields_is_kept(make_span):
    span = make_span(1, parent_span_id=b"").SerializeToString() + b"\xa0\x06\x01" * 1_000_000
    (fragment,) = wire.split(field(1, field(2, field(2, span)))).fragments
    assert len(fragment.payload) > len(span)


@given(st.binary(max_size=300))
def test_any_bytes_pass_where_they_are_few(body):
    frame.refuse_crowd(body)


def test_an_endless_varint_ends_the_walk():
    frame.refuse_crowd(b"\xff" * 3_000_000)
    frame.refuse_crowd(b"\x0a" + b"\xff" * 3_000_000)
