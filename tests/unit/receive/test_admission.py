"""Room is taken, refused and given back."""

from __future__ import annotations

import pytest

from collector_processor.errors import OverloadedError, RequestTooLargeError
from collector_processor.receive.admission import Admission


def test_room_is_shared_and_given_back():
    admission = Admission(100)
    with admission.request(80) as first, admission.request(80) as second:
        first.take(40)
        second.take(60)
        assert admission.bytes_in_flight == 100
        with pytest.raises(OverloadedError):
            first.take(1)
        assert admission.bytes_in_flight == 100
    assert admission.bytes_in_flight == 0


def test_a_refused_request_gives_back_what_it_had():
    admission = Admission(100)
    with admission.request(200) as allowance:
        allowance.take(90)
        with pytest.raises(OverloadedError, match="of 100: come back"):
            allowance.take(20)
    assert admission.bytes_in_flight == 0


def test_a_request_over_its_own_limit_is_too_large_not_an_overload():
    admission = Admission(100)
    with admission.request(50) as allowance:
        allowance.take(50)
        with pytest.raises(RequestTooLargeError, match="larger than 50 bytes"):
            allowance.take(51)
    assert admission.bytes_in_flight == 0


def test_an_announced_size_is_checked_but_not_taken():
    admission = Admission(100)
    with admission.request(50) as allowance:
        allowance.check(50)
        assert admission.bytes_in_flight == 0
        with pytest.raises(RequestTooLargeError):
            allowance.check(51)
