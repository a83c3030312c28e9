"""What goes from the journal when somebody is erased, and what must stay: task by task, with its keys."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, TracesData
from support.lifecycle import payload
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.journalling.subject import Subject
from collector_processor.app.journalling.withdrawal import Withdrawn
from collector_processor.guard.privacy import Detector, Person
from collector_processor.model.sampling import Facet
from collector_processor.model.stages import Applied, Due, Refused, Signal, SpanKey
from collector_processor.store.erasure import Kind
from otel_benchmark import attributes as a

ME = Subject(Kind.TASK, "mine")


class Running(RunningFront):
    """Its spans say a task and somebody's data; each withdrawal is accounted for."""

    def say(self, *pieces: Piece, task_id: str, **said: str) -> None:
        spans = [piece.message() for piece in pieces]
        for span in spans:
            for name, value in {a.TASK_ID: task_id, **said}.items():
                span.attributes.append(KeyValue(key=name, value=AnyValue(string_value=value)))
        self.run(self.front.accept(payload(spans), Signal.TRACES))

    def seal(self) -> None:
        self.wait(11)

    def withdraw(self, subject: Subject = ME, *, dry: bool = False) -> Withdrawn:
        withdrawn = self.run(self.front.withdraw(subject, dry=dry))
        self.assert_balanced()
        return withdrawn

    def epochs(self) -> set[str]:
        return {path.name for path in self.keys.iterdir()}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running.over(tmp_path, journal_max_bytes=16 << 20) as running:
        yield running


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Compiling its patterns takes half a second."""
    return Detector()


def task(trace: int, span: int = 1, parent: int = 0) -> Piece:
    return Piece(trace, span, parent, "task")


def key(piece: Piece) -> SpanKey:
    return SpanKey(piece.trace_id, piece.span_id)


def test_of_one_trace_only_the_task_goes_that_is_named(running: Running) -> None:
    root, mine, other = task(1, 1), task(1, 2, 1), task(1, 3, 1)
    running.say(root, Piece(1, 4, 1, "tool"), task_id="root")
    running.say(mine, Piece(1, 5, 2, "tool"), task_id="mine")
    running.say(other, Piece(1, 6, 3, "tool"), task_id="other")
    assert running.withdraw(dry=True) == Withdrawn({"open_spans": 2}, [key(mine)], 0)
    assert running.withdraw() == Withdrawn({"open_spans": 2}, [key(mine)], 0)
    assert running.withdraw() == Withdrawn({}, [], 0)
    running.seal()
    assert [(batch.tasks, batch.spans) for batch in running.waiting] == [(2, 4)]


def test_looking_changes_nothing(running: Running) -> None:
    running.say(task(1), task_id="mine")
    before = running.epochs()
    running.withdraw(dry=True)
    assert running.epochs() == before
    assert running.front.counters.open == 1


def test_siblings_of_a_span_that_names_it_go_though_they_say_nothing(running: Running) -> None:
    running.say(Piece(1, 5, 2, "tool"), task_id="mine")
    running.say(Piece(1, 6, 2, "tool"), Piece(1, 7, 6, "foreign"), task_id="")
    assert running.withdraw() == Withdrawn({"open_spans": 3}, [key(task(1, 2))], 0)
    assert running.epochs() == set(), "a key stayed though nothing is left"


def test_what_is_sealed_stays_and_its_task_is_told(running: Running) -> None:
    running.say(task(1), task_id="mine")
    running.say(Piece(2, 5, 0, "tool"), task_id="mine")
    running.seal()
    withdrawn = running.withdraw()
    assert (withdrawn.removed, withdrawn.waiting) == ({"sealed_spans": 2}, 1)
    assert list(withdrawn.tasks) == [key(task(1))]
    assert running.front.counters.sealed == 2


def test_dead_letters_and_undecodable_spans_go(running: Running) -> None:
    running.say(task(1), task_id="mine")
    running.say(task(2), task_id="other")
    refusals = tuple(Refused(task(n).trace_id, task(n).span_id, 1, "because") for n in (1, 2))
    running.seal()
    running.complete(Applied(refused=refusals))
    running.say(task(3), task_id="third")
    raws = ((task(3).trace_id, bytes(8), raw, "no UTF-8") for raw in (b"\xff mine", b"\xff other"))
    running.seal()
    running.complete(Applied(undecodable=1, undecodable_spans=tuple(raws)))
    before = running.epochs()
    withdrawn = running.withdraw()
    assert withdrawn.removed == {"dead_letters": 1, "undecodable_spans": 1}
    assert list(withdrawn.tasks) == [key(task(1))]
    counters = running.front.counters
    assert (counters.dead, counters.withdrawn, counters.tasks_dead, counters.tasks_withdrawn) == (1, 1, 1, 1)
    (left,) = running.loop.run_until_complete(running.front.undecodable(9))
    assert left.raw == b"\xff other"
    assert not before & running.epochs()


def test_pending_analyses_go_with_their_spans(running: Running) -> None:
    for number, task_id in enumerate(("mine", "other", "mine"), start=1):
        running.say(task(number), task_id=task_id)
    running.seal()
    running.complete(
        Applied(in_points=3, accepted=3, analyses=[Due(*key(task(number)), (Facet.JUDGE,)) for number in (1, 2)])
    )
    before = running.epochs()
    assert running.withdraw(dry=True).removed == {"pending_analyses": 1}
    withdrawn = running.withdraw()
    assert (withdrawn.removed, withdrawn.tasks, len(withdrawn.analyses)) == ({"pending_analyses": 1}, [], 1)
    counters = running.front.counters
    assert (counters.samples_withdrawn, counters.samples_pending, counters.open) == (1, 1, 0)
    assert not before & running.epochs()


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"note": "ask Mia_Li_3668, please"}, True),
        ({"mia_li_3668": "a key"}, True),
        ({"note": "mia_li_36681"}, False),
        ({"note": "nobody"}, False),
    ],
)
def test_a_user_is_a_word_of_any_text(running: Running, said: dict[str, str], named: bool) -> None:
    running.say(task(1), task_id="some", **said)
    assert running.withdraw(Subject(Kind.USER, "mia_li_3668")).removed == ({"open_spans": 1} if named else {})


MIA = "mia.li@corp.com"


@pytest.mark.parametrize(
    ("value", "said", "named"),
    [
        (MIA, "write to Mia.Li@Corp.com", True),
        (MIA, '{"to": "mia.li\\u0040corp.com"}', True),
        (MIA, base64.b64encode(f"contact: {MIA}, please".encode()).decode(), True),
        (MIA, "write to mia.lin@corp.com", False),
        ("+1 415 555 2671", "call +1 (415) 555-2671", True),
        ("DE89370400440532013000", "to DE89 3704 0044 0532 0130 00", True),
        ("DE89370400440532013000", "to GB29 NWBK 6016 1331 9268 19", False),
        ("Ada Byron", '{"customer_name": "ADA BYRON"}', True),
    ],
)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_user_is_found_as_the_pseudonyms_of_a_record_would_find_him(
    running: Running, detector: Detector, value: str, said: str, named: bool, sealed: bool
) -> None:
    """In any spelling and encoding that detection reads, as long as the task is open or sealed."""
    running.say(task(1), task_id="some", **{a.TASK_DESCRIPTION: said})
    if sealed:
        running.seal()
    person = Subject(Kind.USER, value, person=Person(value, detector))
    place = "sealed_spans" if sealed else "open_spans"
    assert running.withdraw(person).removed == ({place: 1} if named else {})


def test_a_user_is_found_in_a_map_and_in_a_resource(running: Running, detector: Detector) -> None:
    written = KeyValueList(values=[KeyValue(key="to", value=AnyValue(string_value="Mia.Li@CORP.com"))])
    spans = [task(number).message() for number in (1, 2)]
    spans[0].attributes.append(KeyValue(key="mail", value=AnyValue(kvlist_value=written)))
    resource = Resource(attributes=[KeyValue(key="owner", value=AnyValue(string_value="Mia.Li@CORP.com"))])
    for span, described in zip(spans, (Resource(), resource), strict=True):
        shared = ResourceSpans(resource=described, scope_spans=[ScopeSpans(spans=[span])])
        request = TracesData(resource_spans=[shared]).SerializeToString()
        running.loop.run_until_complete(running.front.accept(request, Signal.TRACES))
    person = Subject(Kind.USER, MIA, person=Person(MIA, detector))
    assert running.withdraw(person).removed == {"open_spans": 2}


@pytest.mark.parametrize(
    ("name", "value"), [(a.TENANT_ID, "acme"), (a.TENANT_HASH, "e" * 64), (a.TENANT_HASH, "f" * 64)]
)
def test_a_tenant_is_known_in_clear_and_by_its_hashes(running: Running, name: str, value: str) -> None:
    running.say(task(1), task_id="acme", **{name: value})
    running.say(task(2), task_id="acme")
    assert running.withdraw(Subject(Kind.TENANT, "acme", hashes=["e" * 64, "f" * 64])).tasks == [key(task(1))]


def test_a_large_journal_is_looked_through_step_by_step(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector_processor.app.journalling.withdrawal.STEP_BYTES", 100)
    for number in range(1, 8):
        running.say(task(number), task_id="mine" if number % 2 else "other")
    assert running.withdraw().removed == {"open_spans": 4}
    assert running.front.counters.open == 3
    for number in range(11, 18):
        running.say(task(number), task_id="mine" if number % 2 else "other")
    running.seal()
    assert running.withdraw().removed == {"sealed_spans": 4}
