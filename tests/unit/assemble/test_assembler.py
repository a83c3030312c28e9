"""When a task closes, where late spans go, what no task claims: the assembler with time as an argument."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.spans import Piece, request

from collector_processor.assemble import closing as closing_rules
from collector_processor.assemble.assembler import Arrival, Assembler
from collector_processor.assemble.closing import Limits
from collector_processor.assemble.wire import split
from collector_processor.model.facts import Ending
from collector_processor.model.stages import HEADER, Closing, Fragment, FragmentFlag, Known, Link, SealKind, Stored

SECOND = 10**9
START = 1_760_000_000 * SECOND
LIMITS = Limits(
    grace=10 * SECOND,
    max_grace=60 * SECOND,
    max_task_age=24 * 3600 * SECOND,
    foreign_timeout=600 * SECOND,
    max_task_spans=10_000,
    max_task_bytes=64 << 20,
    flush_records=1,
    flush_interval=0,
)


class Bench:
    """An assembler with a journal of dictionaries, and a clock in seconds since the start."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.assembler = Assembler(limits, START)
        self.stored: dict[int, tuple[Stored, bytes]] = {}
        self.closed: dict[bytes, dict[bytes, bytes]] = {}
        self.links: dict[bytes, dict[bytes, Link]] = {}
        self.closings: list[Closing] = []
        self.duplicates = 0

    def headers(self, sequence: int) -> bytes:
        return self.stored[sequence][1]

    def known(self, trace_id: bytes) -> Known:
        return Known(dict(self.closed.get(trace_id, {})), dict(self.links.get(trace_id, {})))

    def send(self, pieces: Iterable[Piece], at: float = 0.0) -> None:
        staged: dict[bytes, set[bytes]] = {}
        for fragment in split(request(pieces)).fragments:
            arrival = self.assembler.judge(fragment, staged, self)
            self.duplicates += arrival.duplicates.bit_count()
            if arrival.duplicates.bit_count() < len(fragment.headers) // HEADER.size:
                self.add(fragment, arrival, at)

    def add(self, fragment: Fragment, arrival: Arrival, at: float) -> None:
        spans = len(fragment.headers) // HEADER.size
        stored = Stored(len(self.stored) + 1, fragment.trace_id, fragment.flags, spans, START + int(at * SECOND))
        self.stored[stored.sequence] = stored, fragment.headers
        self.assembler.add(stored, arrival, fragment.headers)

    def at(self, seconds: float, *, flush: bool = False) -> list[Closing]:
        """What is decided at that time; it is carried out at once."""
        now = START + int(seconds * SECOND)
        self.assembler.look(now, self)
        everything = self.assembler.traces()
        closings = self.assembler.flush(now, self, everything) if flush else self.assembler.take(now, self)
        for closing in closings:
            sealed = closing.sealed
            if sealed is not None and sealed.kind is not SealKind.ORPHAN:
                ids = closing.span_ids
                owned = self.closed.setdefault(closing.trace_id, {})
                owned.update((ids[start : start + 8], sealed.span_id) for start in range(0, len(ids), 8))
            self.links.setdefault(closing.trace_id, {}).update((link.span_id, link) for link in closing.links)
        self.assembler.carried_out(closings, now)
        self.closings += closings
        return closings

    def span_numbers(self, closing: Closing) -> list[int]:
        members = closing.sealed.members if closing.sealed else closing.dropped
        return sorted(
            int.from_bytes(HEADER.unpack_from(self.stored[member.sequence][1], position * HEADER.size)[0], "big")
            for member in members
            for position in member.positions
        )

    def tasks(self, closings: Iterable[Closing]) -> dict[int, list[int]]:
        """Spans by task span, of the tasks that were sealed."""
        return {
            int.from_bytes(closing.sealed.span_id, "big"): self.span_numbers(closing)
            for closing in closings
            if closing.sealed is not None and closing.sealed.kind is SealKind.TASK
        }


def kinds(closings: Iterable[Closing]) -> list[str | None]:
    return [closing.sealed.kind if closing.sealed else None for closing in closings]


TASK = Piece(1, 1, 0, "task")
CHILD = Piece(1, 2, 1, "execution")


def test_a_task_closes_grace_after_its_last_span() -> None:
    bench = Bench()
    bench.send([CHILD], at=0)
    bench.send([TASK], at=5)
    assert bench.at(14.9) == []
    assert bench.tasks(bench.at(15)) == {1: [1, 2]}
    assert bench.at(10_000) == []


def test_each_late_span_restarts_the_grace_up_to_its_maximum() -> None:
    bench = Bench()
    bench.send([TASK], at=0)
    for number in range(2, 14):
        bench.send([Piece(1, number, 1, "tool")], at=number * 5)
        assert bench.at(number * 5) == [] or number * 5 >= 60
    assert bench.closings[0].sealed is not None
    assert bench.tasks(bench.closings) == {1: list(range(1, 13))}


def test_nothing_closes_before_the_grace_after_a_start() -> None:
    bench = Bench()
    stored = Stored(1, TASK.trace_id, split(request([TASK])).fragments[0].flags, 1, START - 3600 * SECOND)
    bench.stored[1] = stored, split(request([TASK])).fragments[0].headers
    bench.assembler.restore([stored], {})
    assert bench.at(9.9) == []
    assert bench.tasks(bench.at(10)) == {1: [1]}


def test_a_clock_that_was_set_back_keeps_nobody_waiting() -> None:
    hour, other = 3600, [Piece(2, 11, 0, "task")]
    bench = Bench(LIMITS._replace(flush_records=2, flush_interval=5 * SECOND))
    bench.at(hour)
    bench.send([Piece(3, 21, 0, "task")], at=hour - 10)
    bench.send([TASK], at=hour)
    assert bench.at(hour + 1) == []  # one is ready, and waits for another
    bench.send(other, at=100)
    assert bench.at(100) == []
    assert {*bench.tasks(bench.at(110))} == {1, 11, 21}


def test_a_clock_that_was_set_back_before_a_start_keeps_nobody_waiting() -> None:
    bench = Bench()
    fragment = split(request([TASK])).fragments[0]
    stored = Stored(1, TASK.trace_id, fragment.flags, 1, START + 3600 * SECOND)
    bench.stored[1] = stored, fragment.headers
    bench.assembler.restore([stored], {})
    assert bench.at(9.9) == []
    assert bench.tasks(bench.at(10)) == {1: [1]}


def test_nested_tasks_are_records_of_their_own() -> None:
    bench = Bench()
    inner = [Piece(1, 3, 2, "task"), Piece(1, 4, 3, "tool"), Piece(1, 5, 4, "foreign")]
    bench.send([TASK, CHILD, *inner])
    assert bench.tasks(bench.at(10)) == {1: [1, 2], 3: [3, 4, 5]}


def test_an_inner_task_closes_while_the_outer_one_runs() -> None:
    bench = Bench()
    bench.send([Piece(1, 3, 2, "task"), Piece(1, 4, 3, "tool")])
    bench.send([CHILD], at=1)
    assert bench.tasks(bench.at(11)) == {3: [3, 4]}
    bench.send([TASK], at=3600)
    assert bench.tasks(bench.at(3610)) == {1: [1, 2]}


def test_a_task_whose_span_comes_an_hour_after_its_children_has_them_all() -> None:
    bench = Bench()
    bench.send([CHILD, Piece(1, 3, 2, "tool"), Piece(1, 4, 3, "foreign")])
    for seconds in range(0, 3600, 60):
        assert bench.at(seconds) == []
    bench.send([TASK], at=3600)
    assert bench.tasks(bench.at(3610)) == {1: [1, 2, 3, 4]}


def test_a_task_may_have_any_parent() -> None:
    bench = Bench()
    bench.send([Piece(1, 1, 99, "task"), CHILD])
    assert bench.tasks(bench.at(10)) == {1: [1, 2]}


def test_late_spans_go_to_the_closed_task_also_through_late_ones() -> None:
    bench = Bench()
    bench.send([TASK, CHILD])
    bench.at(10)
    bench.send([Piece(1, 4, 3, "tool")], at=20)
    bench.send([Piece(1, 3, 2, "foreign")], at=25)
    assert bench.at(34) == []
    (closing,) = bench.at(35)
    assert closing.sealed is not None
    assert (closing.sealed.kind, closing.sealed.span_id) == (SealKind.LATE, TASK.span_id)
    assert bench.span_numbers(closing) == [3, 4]


def test_a_span_that_comes_in_the_commit_that_seals_its_task_is_late() -> None:
    bench = Bench()
    bench.send([TASK], at=0)
    (fragment,) = split(request([CHILD])).fragments
    arrival = bench.assembler.judge(fragment, {}, bench)
    assert bench.tasks(bench.at(10)) == {1: [1]}
    bench.add(fragment, arrival, at=10)
    (late,) = bench.at(20)
    assert late.sealed is not None
    assert (late.sealed.kind, bench.span_numbers(late)) == (SealKind.LATE, [2])


def test_a_late_task_span_opens_its_own_record() -> None:
    bench = Bench()
    bench.send([TASK, CHILD])
    bench.at(10)
    bench.send([Piece(1, 3, 2, "task")], at=20)
    assert bench.tasks(bench.at(30)) == {3: [3]}


def test_a_late_evaluation_with_a_root_of_its_own_is_handed_on_after_the_grace() -> None:
    bench = Bench()
    bench.send([Piece(2, 1, 0, "evaluation"), Piece(2, 2, 1, "foreign")])
    (closing,) = bench.at(10)
    assert closing.sealed is not None
    assert closing.sealed.kind is SealKind.ORPHAN
    assert bench.span_numbers(closing) == [1]
    (rest,) = bench.at(600)
    assert rest.sealed is None
    assert bench.span_numbers(rest) == [2]


def test_a_remote_parent_that_never_comes_makes_orphans_by_age_and_flags_a_task_that_comes_after_all() -> None:
    bench = Bench()
    bench.send([CHILD, Piece(1, 3, 2, "foreign")])
    assert bench.at(24 * 3600 - 1) == []
    (closing,) = bench.at(24 * 3600)
    assert kinds([closing]) == [SealKind.ORPHAN]
    assert (bench.span_numbers(closing), closing.truncated) == ([2], 0)
    assert [member.positions for member in closing.dropped] == [(1,)]
    bench.send([TASK], at=25 * 3600)
    (late,) = bench.at(25 * 3600 + 10)
    assert late.sealed is not None
    assert late.sealed.children_given_away


def test_traces_without_any_lifecycle_span_go_after_their_own_timeout() -> None:
    bench = Bench()
    bench.send([Piece(1, 1, 0, "foreign"), Piece(1, 2, 1, "foreign")])
    bench.send([Piece(1, 3, 9, "foreign")], at=300)
    assert bench.at(899) == []
    assert kinds(bench.at(900)) == [None, None]
    assert sum(len(member.positions) for closing in bench.closings for member in closing.dropped) == 3


def test_a_chain_through_a_dropped_span_still_holds() -> None:
    bench = Bench()
    bench.send([Piece(1, 2, 1, "foreign")])
    bench.at(600)
    bench.send([Piece(1, 3, 2, "tool"), TASK], at=700)
    assert bench.tasks(bench.at(710)) == {1: [1, 3]}


def test_cyclic_parents_are_given_up_after_the_grace() -> None:
    bench = Bench()
    bench.send([Piece(1, 2, 3, "tool"), Piece(1, 3, 2, "execution"), Piece(1, 4, 4, "foreign")])
    (closing,) = bench.at(10)
    assert closing.sealed is not None
    assert (closing.sealed.kind, closing.sealed.cyclic) == (SealKind.ORPHAN, True)
    assert bench.span_numbers(closing) == [2, 3]
    assert kinds(bench.at(600)) == [None]


def test_two_roots_in_a_trace_are_two_trees() -> None:
    bench = Bench()
    bench.send([TASK, CHILD, Piece(1, 7, 0, "task"), Piece(1, 8, 7, "tool")])
    assert bench.tasks(bench.at(10)) == {1: [1, 2], 7: [7, 8]}


def test_a_span_sent_again_counts_once_open_or_closed() -> None:
    bench = Bench()
    bench.send([TASK, CHILD, CHILD])
    bench.send([CHILD], at=1)
    assert bench.tasks(bench.at(11)) == {1: [1, 2]}
    bench.send([TASK, CHILD], at=20)
    assert bench.duplicates == 4
    assert bench.at(5000) == []


def test_a_trace_of_ten_thousand_tasks_under_one_root() -> None:
    bench = Bench()
    for first in range(0, 10_000, 500):
        spans = []
        for number in range(first, first + 500):
            task = 2 + number * 2
            spans += [Piece(1, task, 1, "task"), Piece(1, task + 1, task, "tool")]
        bench.send(spans, at=first / 1000)
    tasks: dict[int, list[int]] = {}
    for tick in range(200, 300):
        tasks |= bench.tasks(bench.at(tick / 10))
    assert len(tasks) == 10_000
    assert all(spans == [task, task + 1] for task, spans in tasks.items())


def test_limits_shed_foreign_spans_first_and_say_so() -> None:
    bench = Bench(LIMITS._replace(max_task_spans=3))
    bench.send([TASK, CHILD, *(Piece(1, number, 2, "foreign") for number in range(3, 8))])
    (closing,) = bench.at(10)
    assert closing.sealed is not None
    assert closing.sealed.truncated
    assert closing.truncated == 4
    assert len(bench.span_numbers(closing)) == 3
    assert {1, 2} <= set(bench.span_numbers(closing))


def test_spans_shed_before_the_task_came_flag_its_record() -> None:
    bench = Bench(LIMITS._replace(max_task_spans=3))
    bench.send([Piece(1, number, 1, "foreign") for number in range(3, 9)])
    bench.send([CHILD], at=1)
    (shed,) = bench.at(11)
    assert (shed.sealed, shed.truncated) == (None, 4)
    bench.send([TASK], at=20)
    (closing,) = bench.at(30)
    assert closing.sealed is not None
    assert closing.sealed.truncated
    assert {1, 2} <= set(bench.span_numbers(closing))


def test_of_a_trace_without_end_not_all_is_remembered_but_what_an_open_span_hangs_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closing_rules, "MAX_LINKS", 5)
    bench = Bench(LIMITS._replace(max_task_spans=3))
    for first in range(100, 200, 20):
        bench.send([Piece(1, number, 1, "foreign") for number in range(first, first + 20)], at=first)
        bench.at(first + 20)
    assert 5 <= len(bench.links[TASK.trace_id]) < 15
    later = [
        Piece(1, 200, 1, "foreign"),
        Piece(1, 2, 200, "tool"),
        Piece(1, 3, 200, "tool"),
        Piece(1, 201, 1, "foreign"),
    ]
    bench.send(later, at=300)
    bench.at(311)
    bench.send([TASK], at=312)
    (sealed,) = bench.at(330)
    assert sealed.sealed is not None
    assert sealed.sealed.truncated
    assert bench.span_numbers(sealed) == [1, 2, 3]


def test_flush_closes_what_has_its_task_and_names_the_ending() -> None:
    bench = Bench()
    bench.send([TASK, CHILD, Piece(2, 5, 9, "tool")])
    bench.send([Piece(3, 1, 0, "evaluation")])
    closing, late_evaluation = bench.at(1, flush=True)
    assert closing.sealed is not None
    assert closing.sealed.ended_by is Ending.FLUSH
    assert kinds([late_evaluation]) == [SealKind.ORPHAN]
    assert bench.assembler.summary().traces == 1


def test_records_wait_for_enough_of_them_or_for_the_interval() -> None:
    bench = Bench(LIMITS._replace(flush_records=3, flush_interval=60 * SECOND))
    bench.send([Piece(1, 1, 0, "task")])
    bench.send([Piece(2, 1, 0, "task")])
    assert bench.at(10) == []
    assert bench.at(69) == []
    assert len(bench.at(70)) == 2
    for trace in (3, 4, 5):
        bench.send([Piece(trace, 1, 0, "task")], at=80)
    assert len(bench.at(90)) == 3


def test_a_ready_task_still_takes_the_span_that_comes_before_it_is_sealed() -> None:
    bench = Bench(LIMITS._replace(flush_records=2, flush_interval=60 * SECOND))
    bench.send([TASK])
    assert bench.at(10) == []
    bench.send([CHILD], at=12)
    assert bench.at(21.9) == []
    assert bench.tasks(bench.at(70)) == {1: [1, 2]}


def test_an_endless_trace_that_never_rests_does_not_hold_its_tasks_back() -> None:
    bench = Bench(LIMITS._replace(flush_records=100, flush_interval=60 * SECOND))
    for second in range(180):
        bench.send([Piece(1, 10 + second, 1, "task")], at=second)
        bench.at(second)
    assert len(bench.tasks(bench.closings)) >= 100


@pytest.mark.parametrize("parts", [1, 2, 5])
@given(data=st.data())
def test_any_order_and_any_cut_gives_the_same_tasks(parts: int, data: st.DataObject) -> None:
    pieces = [
        TASK, CHILD, Piece(1, 3, 2, "tool"), Piece(1, 4, 3, "foreign"), Piece(1, 5, 2, "task"), Piece(1, 6, 5, "tool"),
        Piece(1, 7, 6, "foreign"), Piece(2, 1, 0, "foreign"), Piece(2, 2, 1, "task"), Piece(2, 3, 2, "evaluation"),
    ]  # fmt: skip
    shuffled = data.draw(st.permutations(pieces))
    bench = Bench()
    for part in range(parts):
        bench.send(shuffled[part::parts], at=part)
    bench.at(60)
    per_trace = Counter(closing.trace_id for closing in bench.closings if closing.sealed)
    assert sum(per_trace.values()) == 3
    assert bench.tasks(bench.closings) == {1: [1, 2, 3, 4], 5: [5, 6, 7], 2: [2, 3]}


def test_the_summary_counts_as_a_walk_through_all_traces_would() -> None:
    bench = Bench(LIMITS._replace(flush_records=1000, flush_interval=3 * SECOND))
    chance = random.Random(7)  # no secret
    for at in range(40):
        trace = chance.randrange(1, 9)
        kind = chance.choice(["task", "tool", "foreign", "evaluation"])
        bench.send([Piece(trace, 100 * trace + at, chance.choice([0, 100 * trace]), kind)], at=at)
        bench.at(at)
        traces, ready = bench.assembler._traces, bench.assembler._ready
        open_tasks = [
            trace_id
            for trace_id, each in traces.items()
            if trace_id not in ready and any(entry.flags & FragmentFlag.TASK for entry in each.entries)
        ]
        oldest = min((each.entries[0].arrived for each in traces.values()), default=None)
        summary = bench.assembler.summary()
        assert (summary.traces, summary.with_task, summary.oldest_arrival) == (len(traces), len(open_tasks), oldest)
    assert len(bench.assembler._traces) < 9
