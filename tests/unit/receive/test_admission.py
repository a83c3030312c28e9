"""Room is taken, refused and given back."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.errors import OverloadedError, RequestTooLargeError
from collector_processor.receive.admission import Admission


def test_room_is_shared_and_given_back():
    admission = Admission(100)
    with admission.request(80, "one") as first, admission.request(80, "two") as second:
        first.take(40)
        second.take(30)
        assert admission.bytes_in_flight == 70
        with pytest.raises(OverloadedError, match="31 bytes of this connection would be in flight, and 29 left"):
            second.take(1)
        assert admission.bytes_in_flight == 70
    assert admission.bytes_in_flight == 0


def test_a_refused_request_gives_back_what_it_had():
    admission = Admission(100)
    with admission.request(200, "one") as allowance:
        allowance.take(90)
        with pytest.raises(OverloadedError, match="of 100: come back"):
            allowance.take(20)
    assert admission.bytes_in_flight == 0


def test_a_request_over_its_own_limit_is_too_large_not_an_overload():
    admission = Admission(100)
    with admission.request(50, "one") as allowance:
        allowance.take(50)
        with pytest.raises(RequestTooLargeError, match="larger than 50 bytes"):
            allowance.take(51)
    assert admission.bytes_in_flight == 0


def test_an_announced_size_is_checked_but_not_taken():
    admission = Admission(100)
    with admission.request(50, "one") as allowance:
        allowance.check(50)
        assert admission.bytes_in_flight == 0
        with pytest.raises(RequestTooLargeError):
            allowance.check(51)


def test_one_connection_leaves_as_much_as_it_holds_and_a_lone_request_may_take_all():
    admission = Admission(120)
    with admission.request(120, "lone") as allowance:
        allowance.take(120)
    with ExitStack() as held:

        def take(connection: str) -> None:
            held.enter_context(admission.request(10, connection)).take(10)

        for _ in range(6):
            take("greedy")
        with pytest.raises(OverloadedError, match="70 bytes of this connection"):
            take("greedy")
        for _ in range(3):
            take("modest")
        with pytest.raises(OverloadedError, match="40 bytes of this connection"):
            take("modest")
        take("late")
    assert admission.bytes_in_flight == 0
    with admission.request(120, "greedy") as allowance:
        allowance.take(120)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), max_size=60))
def test_whoever_sends_what_a_newcomer_finds_room(requests: list[tuple[int, int]]):
    """Beside n others that hold what they can there is about the n+1st part of the room left, never nothing."""
    admission = Admission(1000)
    with ExitStack() as held:
        for connection, size in requests:
            with suppress(OverloadedError):
                held.enter_context(admission.request(40, connection)).take(size)
        held.enter_context(admission.request(40, "newcomer")).take(40)
        assert admission.bytes_in_flight <= 1000
    assert admission.bytes_in_flight == 0
