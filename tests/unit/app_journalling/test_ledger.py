"""The ledger says of each fragment what was entered, and of each service the sum of it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from collector_processor.app.journalling.ledger import Entered, Ledger, Service

SERVICES = [Service("shop", "till"), Service(None, "till"), Service(None, None)]
FRAGMENTS = st.dictionaries(
    st.integers(1, 1 << 62) | st.integers(1, 200),
    st.builds(Entered, st.sampled_from(SERVICES), st.integers(0, 1 << 25), st.integers(1, 10_000)),
)


def entered(fragments: dict[int, Entered]) -> Ledger:
    ledger = Ledger()
    for sequence, fragment in fragments.items():
        ledger.enter(sequence, *fragment)
    return ledger


def check(ledger: Ledger, fragments: dict[int, Entered]) -> None:
    assert {sequence: ledger.get(sequence) for sequence in fragments} == fragments
    sizes, spans = Counter[Service](), Counter[Service]()
    for service, size, number in fragments.values():
        sizes[service] += size
        spans[service] += number
    assert (dict(ledger.bytes), dict(ledger.spans)) == (dict(sizes), dict(spans))


@given(FRAGMENTS, st.data())
def test_it_holds_what_has_not_left(fragments: dict[int, Entered], data: st.DataObject) -> None:
    ledger = entered(fragments)
    check(ledger, fragments)
    for sequence in data.draw(st.permutations(sorted(fragments))):
        assert ledger.leave(sequence) == fragments.pop(sequence)
        assert ledger.leave(sequence) is None
        check(ledger, fragments)


@given(FRAGMENTS, FRAGMENTS)
def test_services_that_have_gone_leave_no_trace(before: dict[int, Entered], after: dict[int, Entered]) -> None:
    ledger = entered(before)
    for sequence in before:
        ledger.leave(sequence)
    for number, (sequence, (_, size, spans)) in enumerate(after.items()):
        ledger.enter(sequence, Service(None, str(number)), size, spans)
        assert ledger.leave(sequence) == (Service(None, str(number)), size, spans)
    assert vars(ledger)["_pages"] == vars(ledger)["_numbers"] == {}
    assert len(vars(ledger)["_services"]) <= max(1, len(SERVICES))


def test_a_giant_counts_for_what_there_is_room_to_say() -> None:
    ledger = entered({1: Entered(SERVICES[0], 1 << 30, 1_000_000)})
    assert ledger.get(1) == (SERVICES[0], (1 << 26) - 1, (1 << 14) - 1)
    ledger.leave(1)
    assert not ledger.bytes
    assert not ledger.spans
