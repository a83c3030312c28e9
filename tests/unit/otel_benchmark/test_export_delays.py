"""How long a receiver asks to be left alone, in all forms, and nonsense."""

import time
from email.utils import formatdate

import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # upstream's module is untyped

from otel_benchmark.export.delays import LONGEST_DELAY_S, by_header, by_retry_info


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        (" 30 ", 30),
        ("-30", 0),
        ("1e2", 0),
        ("\u0663", 0),
        ("soon", 0),
        ("9" * 400, LONGEST_DELAY_S),
        ("Mon, 23 Nov 1998 02:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_DELAY_S),
    ],
)
def test_a_header(value, seconds):
    assert by_header(value) == seconds


def test_a_header_with_a_date():
    assert 0 < by_header(formatdate(time.time() + 90, usegmt=True)) <= 90


@pytest.mark.parametrize(
    ("seconds", "asked"), [(0, 0), (1.5, 1.5), (-5, 0), (LONGEST_DELAY_S, LONGEST_DELAY_S), (1e6, LONGEST_DELAY_S)]
)
def test_a_retry_info(seconds, asked):
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(int(seconds * 1000))
    assert by_retry_info(info.SerializeToString()) == asked


@pytest.mark.parametrize("message", [None, b"", b"\xff"])
def test_no_retry_info(message):
    assert by_retry_info(message) == 0
