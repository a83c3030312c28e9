"""The span processor of our own: never waits in the application, keeps what can go later, counts what can't."""

import gc
import logging
import os
import threading
import time
from contextlib import nullcontext

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from otel_benchmark.export import processor as processor_module
from otel_benchmark.export import queue as queue_module
from otel_benchmark.export.drops import Reason, Sort
from otel_benchmark.export.processor import PrioritySpanProcessor
from otel_benchmark.export.queue import estimate
from otel_benchmark.export.sender import Answer, Verdict

THEIRS = InstrumentationScope("requests")
PLENTY = 1 << 30


def span(name: str, *, sampled: bool = True) -> ReadableSpan:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return ReadableSpan(name, SpanContext(1, 2, is_remote=False, trace_flags=flags), instrumentation_scope=THEIRS)


class Kept:
    """A sender that gives the answers that it is told to, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers) or [Answer(Verdict.TAKEN)]
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()
        self.closed = False
        self.asked, self.taken = threading.Event(), threading.Event()

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]

    def send(self, spans):
        self.threads.add(threading.current_thread().name)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.verdict is Verdict.TAKEN:
            self.batches.append([each.name for each in spans])
            self.taken.set()
        self.asked.set()
        return answer

    def close(self):
        self.closed = True


class Still(PrioritySpanProcessor):
    """Sends only when asked, so that a test decides what the queue holds."""

    def _start_thread(self) -> None:
        pass


def dropped(processor: PrioritySpanProcessor) -> dict[tuple[Reason, Sort], int]:
    return {key: count for key, count in processor.drops.dropped.items() if count}


def test_a_burst_of_foreign_spans_costs_no_record():
    sender = Kept()
    processor = Still(lambda: sender, 1 << 20)
    for number in range(3_000):
        processor.on_end(span("task x" if number % 10 == 0 else "GET"))
    processor.shutdown()
    assert sender.names.count("task x") == 300
    assert set(dropped(processor)) == {(Reason.QUEUE_FULL, Sort.FOREIGN)}
    assert len(sender.names) + processor.drops.dropped.total() == 3_000


def test_unsampled_spans_are_not_sent_and_a_sender_that_is_not_needed_is_not_made():
    processor = Still(lambda: pytest.fail("made"), PLENTY)
    processor.on_end(span("task", sampled=False))
    processor.shutdown()


def test_spans_leave_by_themselves_in_a_thread_of_their_own(monkeypatch):
    monkeypatch.setattr(processor_module, "DELAY_S", 0.01)
    sender = Kept()
    processor = PrioritySpanProcessor(lambda: sender, PLENTY)
    processor.on_end(span("task"))
    assert sender.asked.wait(30)
    processor.shutdown()
    assert sender.threads == {"otel-benchmark-export"}
    assert sender.names == ["task"]
    assert sender.closed
    processor.on_end(span("task after the end"))
    assert sender.names == ["task"]
    assert dropped(processor) == {(Reason.SHUTDOWN, Sort.LIFECYCLE): 1}


def test_a_full_batch_does_not_wait_for_others(monkeypatch):
    monkeypatch.setattr(processor_module, "DELAY_S", 600)
    sender = Kept()
    processor = PrioritySpanProcessor(lambda: sender, PLENTY)
    for _ in range(1024):
        processor.on_end(span("GET"))
    assert sender.asked.wait(30)
    processor.shutdown()
    assert len(sender.names) == 1024


def test_what_the_receiver_can_not_take_now_is_sent_later_in_its_order():
    sender = Kept(Answer(Verdict.LATER, "HTTP 503"), Answer(Verdict.TAKEN))
    processor = Still(lambda: sender, PLENTY)
    for number in range(3):
        processor.on_end(span(f"task {number}"))
    assert not processor.force_flush()
    assert processor.drops.trouble == "HTTP 503"
    processor.on_end(span("task 3"))
    assert processor.force_flush()
    assert processor.drops.trouble == ""
    assert sender.batches == [["task 0", "task 1", "task 2", "task 3"]]
    processor.shutdown()
    assert dropped(processor) == {}


def test_the_thread_tries_again_by_itself(monkeypatch):
    monkeypatch.setattr(processor_module, "DELAY_S", 0.01)
    monkeypatch.setattr(processor_module, "_LONGEST_PAUSE_S", 0.01)
    sender = Kept(*[Answer(Verdict.LATER, "away")] * 5, Answer(Verdict.TAKEN))
    processor = PrioritySpanProcessor(lambda: sender, PLENTY)
    processor.on_end(span("task"))
    assert sender.taken.wait(30)
    processor.shutdown()
    assert sender.names == ["task"]


class Pauses(threading.Event):
    """Notes for how long it is waited for, and tells when."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[float | None] = []
        self.begun = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.lengths.append(timeout)
        self.begun.set()
        return super().wait(timeout)


def test_a_delay_that_the_receiver_asks_for_is_kept_but_not_at_the_end(monkeypatch):
    monkeypatch.setattr(processor_module, "DELAY_S", 0.01)
    sender, pauses = Kept(Answer(Verdict.LATER, "HTTP 429", delay_s=100), Answer(Verdict.TAKEN)), Pauses()
    processor = PrioritySpanProcessor(lambda: sender, PLENTY)
    processor._stop = pauses
    processor.on_end(span("task"))
    assert pauses.begun.wait(30)
    assert sender.names == []
    processor.shutdown()
    assert pauses.lengths == [100]
    assert sender.names == ["task"]


def test_spans_of_a_long_delay_are_bounded_and_counted_by_their_reason():
    sender = Kept(Answer(Verdict.LATER, "HTTP 429", delay_s=100), Answer(Verdict.TAKEN))
    processor = Still(lambda: sender, 10 * estimate(span("task")))
    for _ in range(2):
        for name in ("GET", "task", "GET"):
            processor.on_end(span(name))
    assert not processor.force_flush()
    for _ in range(8):
        processor.on_end(span("task"))
    processor.shutdown()
    assert sender.names == ["task"] * 10
    assert dropped(processor) == {(Reason.QUEUE_FULL, Sort.FOREIGN): 4}


def test_only_a_queue_that_fills_or_ends_is_sent_in_a_hurry(monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    sender = Kept()
    processor = Still(lambda: sender, 8 * estimate(span("task")))
    for names, expected in ((["task 0", "task 1"], 1), (["task 2", "task 3", "task 4"], 1)):
        for name in names:
            processor.on_end(span(name))
        assert processor.force_flush()
        assert len(pauses) == expected
    processor.on_end(span("task 5"))
    processor.shutdown()
    assert len(pauses) == 1
    assert len(sender.names) == 6


def test_what_is_refused_for_good_is_counted_and_said(caplog):
    processor = Still(lambda: Kept(Answer(Verdict.NEVER, "HTTP 400")), PLENTY, receiver="http://h:4318")
    for name in ("task", "task", "GET"):
        processor.on_end(span(name))
    assert processor.force_flush()
    assert dropped(processor) == {(Reason.REFUSED, Sort.LIFECYCLE): 2, (Reason.REFUSED, Sort.FOREIGN): 1}
    with caplog.at_level(logging.WARNING):
        processor.shutdown()
    assert caplog.messages == [
        "otel_benchmark: to http://h:4318: 3 spans were dropped, 2 of them lifecycle spans: 3 refused (HTTP 400)"
    ]


def test_a_request_that_is_too_large_is_halved_until_the_guilty_span_is_alone():
    class Small(Kept):
        def send(self, spans):
            if any(each.name == "task large" for each in spans):
                return Answer(Verdict.TOO_LARGE, "HTTP 413")
            return super().send(spans)

    sender = Small()
    processor = Still(lambda: sender, PLENTY)
    names = ["task 0", "task 1", "task large", "task 3", "task 4"]
    for name in names:
        processor.on_end(span(name))
    assert processor.force_flush()
    assert sender.names == ["task 0", "task 1", "task 3", "task 4"]
    assert dropped(processor) == {(Reason.TOO_LARGE, Sort.LIFECYCLE): 1}
    assert processor.queue.bytes == 0
    processor.shutdown()


def test_half_a_request_that_is_to_come_later_keeps_the_other_half():
    sender = Kept(Answer(Verdict.TOO_LARGE), Answer(Verdict.LATER), Answer(Verdict.TAKEN))
    processor = Still(lambda: sender, PLENTY)
    for number in range(4):
        processor.on_end(span(f"task {number}"))
    assert not processor.force_flush()
    assert len(processor.queue) == 4
    processor.shutdown()
    assert sorted(sender.names) == ["task 0", "task 1", "task 2", "task 3"]


def test_what_a_partial_success_leaves_out_is_counted():
    sender = Kept(Answer(Verdict.TAKEN, "no task id", 2))
    processor = Still(lambda: sender, PLENTY)
    for name in ("task", "task"):
        processor.on_end(span(name))
    processor.force_flush()
    for name in ("task", "GET"):
        processor.on_end(span(name))
    processor.shutdown()
    assert dropped(processor) == {(Reason.REJECTED, Sort.LIFECYCLE): 2, (Reason.REJECTED, Sort.MIXED): 2}


def test_a_sender_that_can_not_be_made_drops_and_does_not_raise():
    def make() -> Kept:
        raise ImportError("no grpc")

    processor = Still(make, PLENTY)
    processor.on_end(span("task"))
    assert processor.force_flush()
    assert dropped(processor) == {(Reason.REFUSED, Sort.LIFECYCLE): 1}
    processor.shutdown()


def test_what_is_left_at_the_end_is_said_with_the_reason(caplog):
    processor = Still(lambda: Kept(Answer(Verdict.LATER, "ConnectionError")), PLENTY)
    processor.on_end(span("task"))
    with caplog.at_level(logging.WARNING):
        processor.shutdown()
        processor.shutdown()
    assert dropped(processor) == {(Reason.SHUTDOWN, Sort.LIFECYCLE): 1}
    assert [message.partition("spans: ")[2] for message in caplog.messages] == ["1 shutdown (ConnectionError)"]


def test_the_end_does_not_wait_for_a_receiver_that_hangs(monkeypatch):
    """Closing is what frees the thread: nothing else does."""
    monkeypatch.setattr(processor_module, "SHUTDOWN_S", 0.05)

    class Hanging(Kept):
        def __init__(self) -> None:
            super().__init__()
            self.freed = threading.Event()

        def send(self, spans):
            self.asked.set()
            self.freed.wait(60)
            return Answer(Verdict.NEVER, "not encodable")  # as an exporter that was shut down says

        def close(self):
            self.freed.set()

    sender = Hanging()
    processor = PrioritySpanProcessor(lambda: sender, PLENTY)
    processor.on_end(span("task"))
    processor.shutdown()
    assert dropped(processor) == {(Reason.SHUTDOWN, Sort.LIFECYCLE): 1}


def test_a_flush_does_not_wait_longer_than_it_may_for_another():
    processor = Still(Kept, PLENTY)
    processor.on_end(span("task"))
    with processor._sending:
        assert not processor.force_flush(10)
    assert processor.force_flush()
    processor.shutdown()


def test_a_flush_waits_for_the_batch_that_is_under_way(monkeypatch):
    monkeypatch.setattr(processor_module, "DELAY_S", 0.01)
    flushed = threading.Event()

    class Slow(Kept):
        def send(self, spans):
            self.asked.set()
            flushed.wait(0.1)  # it waits for us
            return super().send(spans)

    sender = Slow()
    processor = PrioritySpanProcessor(lambda: sender, PLENTY)
    processor.on_end(span("task"))
    assert sender.asked.wait(30)
    assert processor.force_flush()
    names = list(sender.names)
    flushed.set()
    processor.shutdown()
    assert names == ["task"]


def test_a_flush_does_not_miss_a_span_that_another_thread_is_just_queuing(monkeypatch):
    sender, flushed = Kept(), threading.Event()
    processor = Still(lambda: sender, PLENTY)

    def flush() -> None:
        assert processor.force_flush()
        flushed.set()

    flushing = threading.Thread(target=flush)

    def slow(ended: ReadableSpan) -> int:
        if not flushing.ident:
            flushing.start()
            flushed.wait(0.1)  # it waits for us
        return estimate(ended)

    monkeypatch.setattr(queue_module, "estimate", slow)
    processor.on_end(span("task"))
    processor.queue.settle()
    flushing.join()
    assert sender.names == ["task"]
    processor.shutdown()


def test_the_garbage_collector_may_end_a_span_within_on_end():
    sender = Kept()
    processor = Still(lambda: sender, PLENTY)
    mine, generators = span("task"), span("task of a generator")

    def ended(phase: str, _: object) -> None:
        if phase == "start":
            processor.on_end(generators)

    was = gc.get_threshold()
    gc.callbacks.append(ended)
    gc.set_threshold(1)
    try:
        for _ in range(500):
            processor.on_end(mine)
    finally:
        gc.set_threshold(*was)
        gc.callbacks.remove(ended)
    processor.shutdown()
    assert sender.names.count("task") == 500
    assert sender.names.count("task of a generator") > 0


def test_a_provider_drives_it():
    sender = Kept()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(PrioritySpanProcessor(lambda: sender, PLENTY))
    provider.get_tracer("host").start_span("GET").end()
    assert provider.force_flush()
    assert sender.names == ["GET"]
    provider.shutdown()
    assert sender.closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_starts_with_an_empty_queue_and_a_connection_of_its_own():
    senders: list[Kept] = []

    def make() -> Kept:
        senders.append(Kept())
        return senders[-1]

    processor = Still(make, PLENTY)
    processor.on_end(span("task before"))
    processor.force_flush()
    processor.on_end(span("task of the parent"))
    reader, writer = os.pipe()
    with processor._sending, processor.queue._lock:  # as another thread may hold them at that moment
        child = os.fork()
    if child == 0:
        processor.on_end(span("task of the child"))
        processor.shutdown()
        os.write(writer, repr([(sender.names, sender.closed) for sender in senders]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"[(['task before'], False), (['task of the child'], True)]"
    os.close(reader)
    os.close(writer)
    processor.shutdown()
    assert [sender.names for sender in senders] == [["task before", "task of the parent"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize(
    ("rests", "busy", "of_child"),
    [(True, False, "sent"), (False, False, "refused"), (True, True, "refused")],
    ids=["it rests", "others use it", "a request does not end"],
)
def test_a_library_that_can_not_be_forked_in_use_is_left_before_a_fork(monkeypatch, rests, busy, of_child):
    monkeypatch.setattr(processor_module, "_FORK_PATIENCE_S", 0.01)
    senders: list[Kept] = []

    def make() -> Kept:
        senders.append(Kept())
        return senders[-1]

    processor = Still(make, PLENTY, comes_to_rest=lambda _: rests)
    processor.on_end(span("task before"))
    processor.force_flush()
    reader, writer = os.pipe()
    with processor._sending if busy else nullcontext():
        child = os.fork()
    if child == 0:
        processor.on_end(span("task of the child"))
        processor.shutdown()
        sent = "sent" if "task of the child" in senders[-1].names else ""
        os.write(writer, (sent or next(iter(dropped(processor)))[0].value).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000).decode() == of_child
    os.close(reader)
    os.close(writer)
    assert senders[0].closed
    processor.on_end(span("task after"))
    processor.shutdown()
    assert [sender.names for sender in senders] == [["task before"], ["task after"]]


def test_a_request_that_a_fork_cuts_is_sent_again():
    class Cut(Kept):
        """As an exporter whose channel is closed under it."""

        def send(self, spans):
            processor._before_fork()
            processor._in_parent()
            return Answer(Verdict.NEVER, "ValueError")

    whole = Kept()
    senders: list[Kept] = [Cut(), whole]
    processor = Still(lambda: senders.pop(0), PLENTY, comes_to_rest=lambda _: True)
    processor.on_end(span("task"))
    assert not processor.force_flush()
    processor.shutdown()
    assert whole.names == ["task"]
    assert dropped(processor) == {}


def test_without_a_thread_to_be_had_spans_wait_for_shutdown(monkeypatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sender, ended = Kept(), span("task x")
    processor = PrioritySpanProcessor(lambda: sender, PLENTY)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        processor.on_end(ended)
        processor.on_end(ended)
        processor.shutdown()
    assert sender.names == ["task x", "task x"]
    assert sender.closed
