"""The short way to decide about a usual trace says what the long way would, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from collector_processor.assemble.closing import Limits, Plan, plan
from collector_processor.assemble.index import Entry, Trace
from collector_processor.assemble.whole import plan_whole
from collector_processor.model.stages import HEADER, FragmentFlag, Known, Role, Stored

TRACE = bytes(15) + b"\1"
LIMITS = Limits(10, 60, 10_000, 600, 8, 1000, 1, 0)
NOTHING = Known({}, {})

Span = tuple[int, int, Role, int]
"""Number, parent's number (0: none), role, size."""


def trace_of(*fragments: tuple[int, Sequence[Span]], taken: int = 0) -> Trace:
    """A trace of fragments, each an arrival and its spans; `taken` of the first."""
    trace: Trace | None = None
    for sequence, (arrived, spans) in enumerate(fragments):
        headers = b"".join(
            HEADER.pack(number.to_bytes(8, "big"), parent.to_bytes(8, "big"), role, size)
            for number, parent, role, size in spans
        )
        flags = FragmentFlag.TASK if any(span[2] is Role.TASK for span in spans) else FragmentFlag.NONE
        stored = Stored(sequence + 1, TRACE, flags, len(spans), arrived)
        entry = Entry(stored, taken if not sequence else 0, headers)
        if trace is None:
            trace = Trace(NOTHING, entry)
        else:
            trace.append(entry)
    assert trace is not None
    return trace


def both(trace: Trace, now: int, *, flush: bool = False) -> tuple[Plan | None, Plan]:
    """What the short way and the long one say."""
    short = plan_whole(TRACE, trace.entries, LIMITS, now, flush=flush)
    return short, plan(TRACE, trace.open_spans(), NOTHING, LIMITS, now, flush=flush)


TASK = (1, 0, Role.TASK, 50)
CHILD = (2, 1, Role.LIFECYCLE, 60)
GRANDCHILD = (3, 2, Role.FOREIGN, 70)


@pytest.mark.parametrize("now", [0, 29, 30, 1000])
@pytest.mark.parametrize("flush", [True, False])
def test_a_task_whose_spans_are_all_here_is_decided(now, flush):
    short, long = both(trace_of((15, [CHILD, GRANDCHILD]), (20, [TASK])), now, flush=flush)
    assert short == long
    assert bool(long.closings) is (flush or now >= 30)


def test_arrivals_of_a_clock_that_was_set_back():
    short, long = both(trace_of((40, [CHILD]), (20, [TASK])), 49)
    assert short == long == Plan((), 0, 50)


@pytest.mark.parametrize(
    "trace",
    [
        trace_of((0, [TASK, CHILD]), (0, [(4, 9, Role.FOREIGN, 1)])),
        trace_of((0, [TASK, (4, 4, Role.FOREIGN, 1)])),
        trace_of((0, [TASK, (4, 0, Role.FOREIGN, 1)])),
        trace_of((0, [(1, 7, Role.TASK, 50), (4, 7, Role.FOREIGN, 1)])),
        trace_of((0, [TASK, (4, 1, Role.TASK, 1)])),
        trace_of((0, [CHILD])),
        trace_of((0, [TASK, CHILD]), taken=2),
        trace_of((0, [TASK, *[(number, 1, Role.FOREIGN, 1) for number in range(10, 18)]])),
        trace_of((0, [TASK, (4, 1, Role.FOREIGN, 951)])),
        trace_of((0, [TASK, TASK])),
    ],
    ids=["unseen", "cycle", "root", "sibling", "nested", "none", "taken", "spans", "bytes", "twice"],
)
def test_any_other_trace_is_left_to_the_long_way(trace):
    assert both(trace, 1000)[0] is None


@st.composite
def trees(draw) -> list[tuple[int, list[Span]]]:
    """Fragments of one span each: a task, and others that mostly hang below it."""
    fragments = [(draw(st.integers(0, 50)), [(1, draw(st.sampled_from([0, 1, 2, 99])), Role.TASK, 50)])]
    for number in range(2, draw(st.integers(2, 9))):
        parent = draw(st.integers(1, number - 1) | st.integers(0, 9))
        role = draw(st.sampled_from([Role.FOREIGN, Role.LIFECYCLE, Role.EVALUATION] * 4 + [Role.TASK]))
        fragments.append((draw(st.integers(0, 50)), [(number, parent, role, draw(st.integers(1, 200)))]))
    permuted: list[tuple[int, list[Span]]] = draw(st.permutations(fragments))
    return permuted


@given(trees(), st.integers(0, 100), st.booleans())
def test_of_any_trace_it_says_the_same_or_nothing(fragments, now, flush):
    short, long = both(trace_of(*fragments), now, flush=flush)
    event(f"decided: {short is not None}")
    assert short in (None, long)
