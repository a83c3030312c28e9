"""What must hold after whatever was done to a processor: everything acknowledged is stored, once, as without faults."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

from collector_processor.app.reporting.status import Status
from collector_processor.errors import BenchmarkError
from support.processor import Processor, wait_until
from support.steady_load import Known

LOOK_SECONDS: Final = 0.1
TOGETHER: Final = 50
"""Tasks that the reference is given in one request."""
_TIMING: Final = frozenset({".revision", ".completeness.endedBy", ".facts.endedBy", ".facts.task.receivedAt"})
"""What may differ between two runs of the same tasks."""

_NOWHERE: Final = ("rejected", "traceless", "undecodable", "truncated", "shed", "dead_lettered", "discarded", "erased")
"""Where no span may be of those that are sent."""


class Watcher:
    """Looks at a processor's equations again and again, whenever it answers.

    Attributes:
        looks: how often there was an answer.
        violations: equations that didn't balance, as they were.
    """

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._stopping = threading.Event()
        self.looks = 0
        self.violations: list[str] = []

    def assert_balanced(self) -> None:
        """It was looked, and whenever it was the equations balanced."""
        assert self.looks
        assert not self.violations

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look for as long as the block takes."""
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            with contextlib.suppress(BenchmarkError, OSError):
                self._look(self._processor.status())

    def _look(self, status: Status) -> None:
        self.looks += 1
        self.violations += [repr(each) for each in status.equations if each.missing]


def settled(processor: Processor, done: Sequence[Known]) -> None:
    """Wait until nothing is on its way any more. What killed its worker too often is tried again before."""
    orphans = sum(len(task.orphans) for task in done)
    _come_through(processor)
    while letters := processor.ask("dead_letters", limit=1000):
        assert all("worker" in letter["error"] for letter in letters), letters
        processor.ask("retry_dead_letters", ids=[letter["id"] for letter in letters])
        _come_through(processor)
    # An evaluation that was stored while its task was being stored finds it a little later.
    wait_until(lambda: len(processor.rows("SELECT FROM orphans")) == orphans)


def _come_through(processor: Processor) -> None:
    """Wait until nothing is on its way. Patience is for the next of it: a long outage leaves much on a busy machine."""
    left = _on_its_way(processor.status())
    while left:
        left = _on_its_way(processor.wait_for(partial(_is_less, left)))


def _is_less(before: int, status: Status) -> bool:
    return _on_its_way(status) < before


def _on_its_way(status: Status) -> int:
    """By the journal's counters alone, which are of one moment: other figures of a status are a little younger."""
    terms = {each.name: each.terms for each in status.equations}
    spans, samples = terms["journal spans"], terms["deep samples"]
    return spans["open"] + spans["sealed"] + spans["in_fallback"] + samples["pending"]


def assert_accounted(processor: Processor, done: Sequence[Known]) -> None:
    """Every span that was acknowledged is in exactly one place, and both sides' sums agree with what was sent."""
    rows = processor.rows("SELECT id, record FROM data_points")
    facts = Counter(pair for row in rows for pair in _fact_spans(row["record"]))
    orphans = Counter(
        (row["trace_id"], row["span_id"]) for row in processor.rows("SELECT trace_id, span_id FROM orphans")
    )
    assert {row["id"] for row in rows} == {task.record_id for task in done}
    assert facts == Counter(pair for task in done for pair in task.facts)
    assert orphans == Counter(pair for task in done for pair in task.orphans)
    terms = {name: count for each in processor.fresh_status().equations for name, count in each.terms.items()}
    assert not {name: terms[name] for name in _NOWHERE if terms[name]}
    sent = sum(len(task.facts) + len(task.orphans) + task.foreign for task in done)
    assert terms["in_points"] + terms["orphaned"] == sent
    processor.assert_balanced()
    assert '"level": "critical"' not in processor.log


class Reference:
    """A processor that has no trouble, and is given each task once, for all tests that compare with it."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._given: dict[int, Known] = {}

    def assert_same(self, processor: Processor, done: Sequence[Known]) -> None:
        """The other's records and decisions on deep samples are what they are here for the same tasks."""
        new = [task for task in done if task.number not in self._given]
        for first in range(0, len(new), TOGETHER):
            # Messages of protobuf that are written one after the other are one message.
            self._processor.take(b"".join(body for task in new[first : first + TOGETHER] for body in task.requests))
        self._given |= {task.number: task for task in new}
        settled(self._processor, [*self._given.values()])
        ids = [task.record_id for task in done]
        here, there = _contents(processor, ids), _contents(self._processor, ids)
        assert here.keys() == there.keys()
        differing = {id_: dict(here[id_].items() ^ there[id_].items()) for id_ in here if here[id_] != there[id_]}
        assert not differing, differing
        ours, theirs = _chosen(processor, ids), _chosen(self._processor, ids)
        assert ours == theirs, {"ours alone": ours - theirs, "the reference's alone": theirs - ours}
        assert theirs


def _contents(processor: Processor, ids: Sequence[UUID]) -> dict[UUID, dict[str, object]]:
    rows = processor.rows("SELECT id, record FROM data_points WHERE id = ANY(%(ids)s)", ids=ids)
    return {row["id"]: dict(_leaves(row["record"])) for row in rows}


def _chosen(processor: Processor, ids: Sequence[UUID]) -> Counter[tuple[object, ...]]:
    """What was decided to be looked at deeply, and was."""
    query = "SELECT id, facet, policy, inclusion_probability FROM deep_samples WHERE id = ANY(%(ids)s)"
    return Counter(tuple(row.values()) for row in processor.rows(query, ids=ids))


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """(path, value) of everything in a record that timing may not change."""
    if path in _TIMING:
        return
    match node:
        case dict():
            for name, inner in node.items():
                yield from _leaves(inner, f"{path}.{name}")
        case list():
            yield f"{path}.length", len(node)
            for place, inner in enumerate(node):
                yield from _leaves(inner, f"{path}[{place}]")
        case _:
            yield path, node


def _fact_spans(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(trace id, span id) of all facts of a record, as often as they stand there."""
    facts = record["facts"]
    for group in ([facts["task"]], *(value for value in facts.values() if isinstance(value, list))):
        for fact in group:
            if "factId" in fact:
                yield fact["traceId"], fact["spanId"]
