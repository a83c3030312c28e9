"""Too little room: foreign spans of the largest open traces are shed, so that the lifecycle of all goes on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lifecycle import payload
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.journalling.room import SHED_TO
from collector_processor.assemble import shedding
from collector_processor.assemble.messages import RawTraces
from collector_processor.errors import OverloadedError
from collector_processor.journal.reader import rows_of
from collector_processor.model.facts import Ending
from collector_processor.model.stages import Fragment, Signal
from otel_benchmark import attributes as a

SIZE = 1 << 20
LARGE = 20_000


class Running(RunningFront):
    def send_large(self, *pieces: Piece, size: int = LARGE, service: str = "one") -> None:
        """Send spans in one request, the foreign ones of this size."""
        spans = [piece.message() for piece in pieces]
        for span, piece in zip(spans, pieces, strict=True):
            span.name += " " * size * (piece.kind == "foreign")
        self.run(self.front.accept(payload(spans, resource={a.SERVICE_NAME: service}), Signal.TRACES))

    def fill(self, trace: int, *, spans: int = 1000, size: int = LARGE, service: str = "one") -> int:
        """Send foreign spans of a trace, below its span 1, until one is refused; how many were taken."""
        for number in range(spans):
            try:
                self.send_large(Piece(trace, 100 + number, 1, "foreign"), size=size, service=service)
            except OverloadedError:
                return number
        return spans

    def shed(self) -> int:
        """Let the front make room; how many spans that cost so far."""
        for _ in range(10):
            self.now += 1
            self.run(self.front._shedding.due())
        return self.front.counters.shed


@pytest.fixture
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    settings: dict[str, Any] = {"journal_max_bytes": SIZE, "service_share": 1.0, **getattr(request, "param", {})}
    with Running.over(tmp_path, **settings) as running:
        yield running


def test_a_journal_that_an_unfinished_task_has_filled_takes_the_lifecycle_of_all(running: Running) -> None:
    running.send(Piece(1, 2, 1, "execution"))
    assert running.fill(1) > 30
    with pytest.raises(OverloadedError, match="the journal is full") as refused:
        running.send_large(Piece(2, 2, 1, "foreign"))
    assert 1 <= refused.value.retry_after <= 2
    assert running.shed() > 3
    assert running.front.used_bytes <= SHED_TO * SIZE
    running.send(Piece(1, 3, 1, "tool"), Piece(1, 1, 0, "task"), Piece(2, 1, 0, "task"))
    running.wait(11)
    giant, small = sorted(running.tasks(), key=lambda task: task.sealed.trace_id)
    assert giant.sealed.truncated
    assert giant.sealed.ended_by is Ending.TASK_ENDED
    assert not small.sealed.truncated


@pytest.mark.parametrize("running", [{"service_share": 0.5}], indirect=True)
def test_a_service_that_has_filled_its_share_costs_others_nothing(running: Running) -> None:
    running.send_large(*(Piece(1, 100 + number, 1, "foreign") for number in range(10)), service="quiet")
    running.fill(2, service="noisy")
    assert running.shed() > 0
    running.send_large(Piece(2, 1, 0, "task"), service="noisy")
    running.send_large(Piece(1, 1, 0, "task"), service="quiet")
    running.wait(11)
    quiet, noisy = sorted(running.tasks(), key=lambda task: task.sealed.trace_id)
    assert (quiet.sealed.spans, quiet.sealed.truncated) == (11, False)
    assert noisy.sealed.truncated


def test_the_largest_trace_goes_first(running: Running) -> None:
    running.send_large(*(Piece(1, 100 + number, 1, "foreign") for number in range(5)))
    running.fill(2, size=5000)
    assert running.shed() > 0
    running.send(Piece(1, 1, 0, "task"), Piece(2, 1, 0, "task"))
    running.wait(11)
    assert {task.sealed.trace_id[-1]: task.sealed.truncated for task in running.tasks()} == {1: False, 2: True}


def mixed(running: Running) -> None:
    """One fragment: an execution, foreign spans, and a tool call below one of these."""
    foreign = [Piece(1, 100 + number, 2, "foreign") for number in range(2)]
    running.send_large(Piece(1, 2, 1, "execution"), *foreign, Piece(1, 3, 101, "tool"), size=25_000)
    running.front._room._max_bytes = 1
    assert running.shed() == 2
    running.front._room._max_bytes = SIZE


def test_a_fragment_that_is_needed_still_is_rewritten_without_their_bytes(running: Running) -> None:
    mixed(running)
    assert running.front.counters.open == 2
    sizes = running.ask(lambda transaction: [len(value) for _, value in rows_of(transaction._txn, spans(transaction))])
    assert sum(sizes) < 1000
    assert sum(running.front._shares._ledger.bytes.values()) < 1000
    running.send(Piece(1, 1, 0, "task"))
    running.wait(11)
    (task,) = running.tasks()
    assert task.sealed.truncated
    (_, first, positions), (_, _, last) = task.payloads
    assert (positions, last) == ((0, 3), (0,))
    sent = RawTraces.FromString(first).resource_spans[0].scope_spans[0].spans
    assert [len(span) > 0 for span in sent] == [True, False, False, True]


@pytest.mark.parametrize("restart", [False, True])
def test_a_span_that_was_shed_does_not_come_again_and_its_children_find_their_task(
    running: Running, restart: bool
) -> None:
    mixed(running)
    if restart:
        running.end()
        running.begin()
    running.send(Piece(1, 101, 2, "foreign"), Piece(1, 4, 101, "tool"), Piece(1, 1, 0, "task"))
    assert running.front.counters.duplicate == 1
    running.wait(11)
    (task,) = running.tasks()
    assert task.sealed.spans == 4


def spans(transaction: Any) -> Any:
    return transaction._dbs["spans"]


def test_after_a_restart_it_is_shed_as_well(running: Running) -> None:
    running.send(Piece(1, 2, 1, "execution"))
    running.fill(1)
    running.end()
    running.begin()
    running.run(running.front.tick())
    assert running.shed() > 3
    assert running.front.used_bytes <= SHED_TO * SIZE


def test_while_it_is_the_database_that_is_behind_nothing_is_shed(running: Running) -> None:
    running.send(*(Piece(9, number, 0, "task") for number in range(1, 100)))
    running.wait(11)
    assert running.front.counters.sealed == 99
    assert running.fill(1) < 99
    assert running.shed() == 0


def test_a_damaged_fragment_keeps_its_bytes_and_costs_no_other_its_place(running: Running) -> None:
    running.send_large(Piece(1, 2, 1, "execution"), *(Piece(1, 100 + number, 2, "foreign") for number in range(2)))

    def damage(transaction: Any) -> None:
        (key, value), *_ = rows_of(transaction._txn, spans(transaction))
        transaction._txn.put(key, value[:-1] + bytes([value[-1] ^ 1]), db=spans(transaction))
        transaction.changes += 1

    running.ask(damage)
    running.front._room._max_bytes = 1
    assert running.shed() == 2
    running.front._room._max_bytes = SIZE
    running.send(Piece(1, 1, 0, "task"))
    assert running.front.counters.open == 2


def test_of_very_many_traces_each_decision_looks_at_those_that_follow(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shedding, "LOOKED_AT", 2)
    for number in range(1, 6):
        running.send_large(Piece(number, 2, 1, "foreign"), Piece(number, 3, 1, "tool"), size=1000 * number)
    running.front._room._max_bytes = 1
    assert running.shed() == 5


# -- Numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [{"max_open_spans": 100}], indirect=True)
def test_so_many_spans_may_be_open_and_foreign_ones_make_room(running: Running) -> None:
    running.send(*(Piece(1, 100 + number, 1, "foreign") for number in range(80)), Piece(1, 2, 1, "tool"))
    with pytest.raises(OverloadedError, match=r"81 spans are open, and 100 may be \(MAX_OPEN_SPANS\)"):
        running.send(*(Piece(2, 100 + number, 1, "tool") for number in range(15)))
    running.send(*(Piece(2, 100 + number, 1, "tool") for number in range(14)), Piece(2, 1, 0, "task"))
    assert running.shed() == 16
    assert running.front.counters.open == 80
    running.send(*(Piece(3, 100 + number, 1, "tool") for number in range(10)))


@pytest.mark.parametrize("running", [{"max_open_spans": 100, "service_share": 0.5}], indirect=True)
def test_a_service_may_have_its_share_of_them_open(running: Running) -> None:
    pairs = [(Piece(1, 100 + number, 1, "foreign"), Piece(1, 200 + number, 1, "tool")) for number in range(24)]
    for pair in pairs[:23]:
        running.send_large(*pair, size=1)
    with pytest.raises(OverloadedError, match=r"one has 46 spans .* 44 now \(SERVICE_SHARE of MAX_OPEN_SPANS\)"):
        running.send_large(*pairs[23], size=1)
    running.send_large(*(Piece(2, 100 + number, 1, "foreign") for number in range(6)), size=1, service="two")
    assert running.shed() > 0
    counters = running.front.counters
    assert (counters.open, counters.shed) == (44, 8)
    running.send_large(Piece(1, 99, 1, "tool"), size=1)
    running.send(Piece(1, 1, 0, "task"), Piece(2, 1, 0, "task"))
    running.wait(11)
    assert {task.sealed.trace_id[-1]: task.sealed.truncated for task in running.tasks()} == {1: True, 2: False}


@pytest.mark.parametrize("running", [{"max_open_spans": 100}], indirect=True)
def test_refusals_stop_when_tasks_end(running: Running) -> None:
    running.send(*(Piece(number, 1, 0, "task") for number in range(1, 101)))
    with pytest.raises(OverloadedError, match="MAX_OPEN_SPANS"):
        running.send(Piece(101, 1, 0, "task"))
    assert running.shed() == 0
    running.store()
    running.send(Piece(101, 1, 0, "task"))


@pytest.mark.parametrize("running", [{"max_open_traces": 20}], indirect=True)
def test_so_many_traces_may_be_open_and_the_oldest_without_a_lifecycle_go_first(running: Running) -> None:
    running.send(Piece(1, 2, 1, "tool"))
    for number in range(2, 19):
        running.send(Piece(number, 1, 0, "foreign"))
    with pytest.raises(OverloadedError, match=r"18 traces are open, and 20 may be \(MAX_OPEN_TRACES\)"):
        running.send(Piece(19, 1, 0, "foreign"))
    running.send(Piece(18, 2, 1, "foreign"))
    running.send(Piece(19, 1, 0, "task"))
    assert running.shed() == 3
    left = running.front._assembler.traces()
    assert {trace[-1] for trace in left} == {1, *range(5, 20)}


def test_what_was_refused_is_gone_without_a_collection_of_garbage(running: Running) -> None:
    """Or memory would grow with every refusal, amid an overload."""
    running.fill(1)
    body = payload([Piece(2, number, 1, "foreign").message() for number in range(2, 500)])

    async def refused() -> None:
        with pytest.raises(OverloadedError):
            await running.front.accept(body, Signal.TRACES)

    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            running.run(refused())
        held = sum(isinstance(each, Fragment) for each in gc.get_objects())
        assert held < 5  # the thread that commits lets go of the latest when it has the next
    finally:
        gc.enable()
