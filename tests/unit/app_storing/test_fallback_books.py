"""Batches in the fallback, in a journal's books: gone there, back, refused, damaged, put back, halved and erased."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.lifecycle import execution, payload, task
from support.processor import own
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.commands.erasing import Kind, subject_of
from collector_processor.app.commands.stored_names import line_matcher
from collector_processor.app.outage import Outage
from collector_processor.app.privacy import privacy_keys, protector_of
from collector_processor.app.protocol import Import, Prepared
from collector_processor.app.storing.batch_queue import BatchQueue
from collector_processor.app.storing.desk import Desk
from collector_processor.app.storing.failures import Failures
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.fallback_erasure import withdraw_lines
from collector_processor.app.storing.fallback_work import as_lines, batch_of, outcome, recover
from collector_processor.app.storing.pipeline import Pipeline
from collector_processor.convert import FoldSettings
from collector_processor.fallback import Line, decode, task_ids_of
from collector_processor.guard import GateSettings, Protector
from collector_processor.journal import letters, spilled
from collector_processor.model.stages import Applied, Redactions, Refused, Signal
from otel_benchmark import attributes as a

WHY = "the database will not take it"


class Running(RunningFront):
    """A front, and its fallback."""

    def begin(self) -> None:
        super().begin()
        self.pipeline = Pipeline(Protector(None, None), FoldSettings(), GateSettings())
        self.fallback = Fallback(self.settings, self.front, Outage(3, 2.0))
        self.run(self.fallback.start())

    def keep(self, *numbers: int, lines: bool = True) -> Prepared:
        """Let a batch of whole tasks go to the fallback; without `lines` all of them are refused on the way."""
        self.send(*(Piece(1, number, 99, "task", f"task-{number}") for number in numbers))
        return self.spill(lines=lines)

    def spill(self, *, after: int = 11, lines: bool = True) -> Prepared:
        """Let what is sealed after so many seconds go there."""
        self.wait(after)
        tasks = self.tasks()
        batch = self.waiting.pop()
        sealed = [task.sealed for task in tasks]
        refused = [] if lines else [Refused(each.trace_id, each.span_id, each.spans, WHY) for each in sealed]
        prepared = as_lines(self.pipeline.prepare(batch.id, tasks if lines else [], refused), Redactions())
        assert self.run(self.fallback.keep(prepared))
        return prepared

    def take(self, *refused: int) -> Import:
        """Import the next batch; the database refuses the tasks of these span numbers."""
        request = self.fallback.next()
        assert request is not None
        recovered = recover(request)
        keys = {int.from_bytes(task.sealed.span_id, "big"): task.sealed for task in batch_of(request, recovered).tasks}
        applied = Applied(
            in_points=len(keys) - len(refused),
            accepted=len(keys) - len(refused),
            refused=tuple(Refused(keys[number].trace_id, keys[number].span_id, 1, WHY) for number in refused),
        )
        self.run(self.fallback.take_back(outcome(request.batch_id, applied, recovered)))
        return request

    def files(self) -> list[Path]:
        return sorted(self.fallback.books.folder.path.iterdir())

    def letters(self) -> dict[str, Any]:
        return self.ask(lambda transaction: dict(letters.letters(transaction.view)))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running.over(tmp_path) as running:
        yield running


def test_batches_come_back_in_the_order_of_going_also_after_a_restart(running: Running) -> None:
    kept = [running.keep(1, 2).batch_id, running.keep(3).batch_id]
    running.assert_balanced()
    assert running.front.counters.in_fallback == 3
    running.run(running.front.stop())
    running.begin()
    assert [running.take().batch_id, running.take().batch_id] == kept
    assert running.fallback.next() is None
    assert (running.front.counters.in_fallback, running.front.counters.handed_over, running.files()) == (0, 3, [])
    running.assert_balanced()


def test_a_batch_that_steps_back_lets_the_others_come_first(running: Running) -> None:
    first, second = (running.keep(number).batch_id for number in range(1, 3))
    running.fallback.step_back(first)
    assert [running.take().batch_id, running.take().batch_id] == [second, first]
    running.fallback.step_back(first)
    assert running.fallback.next() is None


def test_what_went_twice_is_there_once(running: Running) -> None:
    """A crash after the journal let a batch go."""
    prepared = running.keep(1)
    assert running.run(running.fallback.keep(prepared))
    running.take()
    assert running.fallback.next() is None
    running.assert_balanced()


def test_a_batch_without_a_line_leaves_nothing_behind(running: Running) -> None:
    prepared = running.keep(1, lines=False)
    assert prepared.lines == ()
    assert running.fallback.next() is None
    assert running.run(running.front.run(lambda transaction: spilled.spilled(transaction.view))) == []
    assert (running.front.counters.dead, running.front.counters.in_fallback) == (1, 0)
    running.assert_balanced()


def test_what_is_refused_at_import_is_a_letter_that_goes_back_as_a_line(running: Running) -> None:
    running.keep(1, 2, 3)
    running.take(2)
    ((id_, letter),) = running.letters().items()
    assert (letter.error, letter.spans, running.files()) == (WHY, 1, [])
    assert (running.front.counters.dead, running.front.counters.tasks_dead) == (1, 1)
    running.assert_balanced()
    assert running.run(running.fallback.put_back(id_))
    assert running.letters() == {}
    running.assert_balanced()
    again = running.take()
    assert again.places == (1,)
    assert (running.front.counters.dead, running.front.counters.handed_over) == (0, 3)
    running.assert_balanced()


def test_of_strays_in_one_line_the_refused_one_alone_becomes_a_letter(running: Running) -> None:
    running.send(*(Piece(1, number, 99, "execution", f"task-{number}") for number in range(1, 4)))
    running.spill(after=25 * 3600)
    request = running.fallback.next()
    assert request is not None
    recovered = recover(request)
    assert [len(task.strays) for task in recovered.tasks.values()] == [3]
    refused = Refused(bytes(15) + b"\x01", bytes(7) + b"\x02", 1, WHY)
    running.run(
        running.fallback.take_back(outcome(request.batch_id, Applied(orphaned=2, refused=(refused,)), recovered))
    )
    ((id_, letter),) = running.letters().items()
    assert [named for named in (b"task-1", b"task-2", b"task-3") if named in letter.line] == [b"task-2"]
    running.assert_balanced()
    assert running.run(running.fallback.put_back(id_))
    again = running.fallback.next()
    assert again is not None
    (task,) = recover(again).tasks.values()
    assert ([stray.fact.task_id for stray in task.strays], task.spans) == (["task-2"], 1)
    running.assert_balanced()


def test_a_damaged_line_is_counted_and_kept_apart(running: Running) -> None:
    running.keep(1, 2)
    (file,) = running.files()
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    running.take()
    assert (running.front.counters.damaged, running.front.counters.tasks_damaged) == (1, 1)
    assert running.fallback.figures().damaged_lines == 1
    assert [path.name for path in running.files()] == [f"damaged-{file.name}"]
    running.assert_balanced()


def test_a_batch_that_kills_is_halved_down_to_the_line_that_is_buried(running: Running) -> None:
    batch = running.keep(1, 2, 3).batch_id
    sizes = []
    while running.run(running.fallback.halve(batch)):
        request = running.fallback.next()
        assert request is not None
        running.fallback.given_up()
        batch = request.batch_id
        sizes.append(len(request.places))
    assert sizes == [1]
    running.run(running.fallback.bury(batch, "it kills its worker"))
    assert [letter.error for letter in running.letters().values()] == ["it kills its worker"]
    running.assert_balanced()
    running.take()
    assert running.fallback.next() is None
    assert (running.front.counters.dead, running.front.counters.handed_over) == (1, 2)
    running.assert_balanced()


def test_what_is_erased_neither_comes_back_nor_is_left_in_a_file(running: Running) -> None:
    running.keep(1, 2)
    running.keep(3)
    running.keep(4)
    running.take(1)
    running.assert_balanced()
    (letter,) = running.letters().values()
    assert b"task-1" in letter.line

    def mine(line: Line) -> bool:
        return bool(task_ids_of(line) & {"task-1", "task-3"})

    dry = running.run(withdraw_lines(running.front, running.fallback, mine, dry=True))
    assert len(running.letters()) == 1
    done = running.run(withdraw_lines(running.front, running.fallback, mine, dry=False))
    assert dry == done
    assert done[:3] == (1, 1, 1)
    assert sorted(int.from_bytes(key.span_id, "big") for key in done[3]) == [1, 3]
    assert running.letters() == {}
    left = b"".join(path.read_bytes() for path in running.files())
    assert b"task-3" not in left
    assert b"task-4" in left
    running.assert_balanced()
    running.take()
    assert running.fallback.next() is None
    assert running.front.counters.handed_over == 2
    running.assert_balanced()


@pytest.mark.parametrize(("kind", "value"), [(Kind.TENANT, "Acme"), (Kind.USER, "ada@example.com")])
def test_of_somebody_in_a_file_every_line_goes_and_no_other(running: Running, kind: Kind, value: str) -> None:
    """By the names that stand in lines: a tenant's hash, and what a user was replaced by in each tenant."""
    settings = dataclasses.replace(running.settings, tenant_key=b"a key for tenants")
    running.pipeline = Pipeline(
        protector_of(settings.tenant_key, privacy_keys(settings)), FoldSettings(), GateSettings()
    )
    said = {
        "hers": {a.TENANT_ID: "Acme", a.TASK_DESCRIPTION: "Ask ada@example.com"},
        "his": {a.TENANT_ID: "Initech", a.TASK_DESCRIPTION: "Ask bob@example.com"},
        "both": {a.TENANT_ID: "Acme", a.TASK_DESCRIPTION: "ADA@example.com knows bob@example.com"},
    }
    for task_id, attributes in said.items():
        mine = own(task(attributes=attributes), execution(), task_id=task_id)
        running.run(running.front.accept(payload(mine.spans), Signal.TRACES))
    running.spill()
    about = {a.TENANT_ID: "Acme", a.EXECUTION_FAILURE_REASON: "ada@example.com said no"}
    part = own(execution(attributes=about), task_id="alone")
    running.run(running.front.accept(payload(part.spans), Signal.TRACES))
    running.spill(after=25 * 3600)
    assert running.front.counters.in_fallback == 7

    named = line_matcher(settings, subject_of(settings, kind, value))
    lines, spans, letters_, tasks = running.run(withdraw_lines(running.front, running.fallback, named, dry=False))
    assert (lines, spans, letters_, len(tasks)) == (3, 5, 0, 2)
    left = [line for path in running.files() for line in path.read_bytes().splitlines() if line.strip()]
    assert [task_ids_of(decode(line)) for line in left] == [{"his"}]
    assert running.take().places == (1,)
    assert running.fallback.next() is None
    running.assert_balanced()


def test_halves_of_what_a_worker_died_of_are_halved_at_once(running: Running) -> None:
    running.keep(1, 2, 3, 4)
    outage = Outage(3, 2.0)
    queue = BatchQueue(running.fallback, outage, lambda _: None)
    failures = Failures(queue, cast("Desk", None), running.fallback, outage)
    tries = []
    while (request := running.fallback.next()) is not None:
        queue.imports["worker-0"] = request.batch_id
        if request.batch_id in queue.sentences:
            running.run(failures.carry_out("worker-0", request.batch_id))
        else:
            tries.append(len(request.places))
            running.run(failures.judge("worker-0", "it hung"))
    assert tries == [4] * 3 + [2] + [1] * 6 + [2] + [1] * 6
    assert len(running.letters()) == 4
    running.assert_balanced()
