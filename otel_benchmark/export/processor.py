"""The span processor that queues ended spans and sends them from a thread of its own."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections import Counter
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from otel_benchmark.export.drops import Drops, Reason, Sort
from otel_benchmark.export.queue import BATCH_SPANS, SpanQueue, sort_of
from otel_benchmark.export.sender import Answer, NoSender, Sender, Unhurried, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from otel_benchmark.export.queue import Waiting

DELAY_S: Final = 1.0
"""A span waits so long for others at most: what a process that is killed loses."""
SHUTDOWN_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 30.0
_CALM_SHARE: Final = 0.25
"""With more than this of its capacity taken, the queue is emptied as fast as the interpreter lets it."""
_FORK_PATIENCE_S, _REST_PATIENCE_S = 0.25, 1.0


class PrioritySpanProcessor(SpanProcessor):
    """Sends lifecycle spans first, and never makes the application wait.

    `make_sender` is called when there is something to send. What the receiver can't take now is sent again after a
    pause that doubles up to half a minute, or is as long as the receiver asks for (two minutes at most); `capacity`
    (bytes, estimated) bounds what waits meanwhile. A forked child has a queue, a thread and a connection of its own;
    what was queued in its parent, its parent sends. A sender whose library can't be forked while it is in use is
    closed before a fork, and `comes_to_rest` says whether that was enough; if not, the child drops its spans.
    """

    def __init__(
        self,
        make_sender: Callable[[], Sender],
        capacity: int,
        *,
        receiver: str = "the receiver",
        comes_to_rest: Callable[[float], bool] | None = None,
    ) -> None:
        self._make_sender = make_sender
        self._capacity = capacity
        self._receiver = receiver
        self._comes_to_rest = comes_to_rest
        self._has_sent = False
        self._stopping = self._closed = False
        self._inherited: list[Sender] = []
        self._start()
        if hasattr(os, "register_at_fork"):
            before, parent, child = map(weakref.WeakMethod, (self._before_fork, self._in_parent, self._in_child))
            os.register_at_fork(
                before=lambda: (method := before()) and method(),
                after_in_parent=lambda: (method := parent()) and method(),
                after_in_child=lambda: (method := child()) and method(),
            )

    def _start(self) -> None:
        self.drops = Drops(self._receiver)
        self.queue = SpanQueue(self._capacity, self.drops)
        self._sender: Sender | None = None
        self._sending = threading.Lock()
        self._stop = threading.Event()
        # Its put() may interrupt itself, which an Event's set() may not: the garbage collector ends spans too.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._asked_s = 0.0
        self._forker = 0

    # -- A fork, in the thread that forks --------------------------------------------------------------------

    def _before_fork(self) -> None:
        """Let nobody send until the fork is over, and the library rest."""
        if self._comes_to_rest is None:
            return
        held = self._sending.acquire(timeout=_FORK_PATIENCE_S)
        sender, self._sender = self._sender, None
        patience_s = 0.0
        if sender is not None:
            sender.close()  # which ends what is under way; it is sent again
            del sender
            patience_s = _REST_PATIENCE_S  # of many forks in a row, as of a pool, the first waits
        if held or self._sending.acquire(timeout=_FORK_PATIENCE_S):
            self._forker = threading.get_ident()
            self._has_sent = self._has_sent and not self._comes_to_rest(patience_s)

    def _in_parent(self) -> None:
        if self._forker == threading.get_ident():
            self._forker = 0
            self._sending.release()

    def _in_child(self) -> None:
        if self._sender is not None:
            # Kept for ever, since closing it would end the parent's connection, or wait for threads that are not here.
            self._inherited.append(self._sender)
        if self._has_sent and self._comes_to_rest is not None:
            self._make_sender = NoSender
        self._start()

    # -- The application's threads ---------------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do: spans are queued when they end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span, or count it as dropped."""
        if (context := span.context) is None or not context.trace_flags.sampled:
            return
        if self._stopping:
            self.drops.add(Reason.SHUTDOWN, sort_of(span))
            return
        if self.queue.put(span) and self._wake.empty():
            self._wake.put(None)
        if self._thread is None:
            self._start_thread()

    def _start_thread(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._run, name="otel-benchmark-export", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._starting.release()  # none is to be had now, or never again at the interpreter's exit
        else:
            self._thread = thread

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what is queued now; False if some is left when the time is over or the receiver doesn't take it.

        A batch that the other thread is just sending is waited for.
        """
        deadline = time.monotonic() + timeout_millis / 1000
        while (left_s := deadline - time.monotonic()) > 0 and self._send(left_s):
            if not len(self.queue):
                return True
        return False

    def shutdown(self) -> None:
        """Send what is queued for ten seconds at most, then stop. Spans that end later are counted as dropped."""
        if self._stopping:
            return
        self._stopping = True
        self._stop.set()
        self._wake.put(None)
        if self._thread is None:
            self.force_flush(int(SHUTDOWN_S * 1000))
        else:
            self._thread.join(SHUTDOWN_S)
        self._closed = True
        if (sender := self._sender) is not None:
            sender.close()
        if self._thread is not None:
            self._thread.join(1)
        while left := self.queue.take():
            self._drop(left, Answer(Verdict.LATER, self.drops.trouble), Reason.SHUTDOWN)
        self.drops.tell(0, at_last=True)

    # -- The thread that sends -------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            if failures:
                ours = min(_LONGEST_PAUSE_S, 2.0**failures) * random.uniform(0.5, 1)  # noqa: S311 - no secret
                self._stop.wait(max(ours, self._asked_s))
            else:
                self._rest()
            failures = 0 if self._send_batches() else failures + 1
            self.drops.tell(len(self.queue))
        while len(self.queue) and self._send():
            pass

    def _rest(self) -> None:
        with suppress(Empty):
            self._wake.get(timeout=DELAY_S)

    def _send_batches(self) -> bool:
        """Send what waits, then whole batches as long as there are any; False if the receiver can't take them."""
        taken = self._send()
        while taken and len(self.queue) >= BATCH_SPANS and not self._stopping:
            taken = self._send()
        return taken

    def _send(self, patience_s: float = -1) -> bool:
        """Send one batch; False if it is to be sent later, or others were sending for as long as the patience."""
        if not self._sending.acquire(timeout=patience_s):
            return False
        try:
            batch = self.queue.take()
            return not batch or self._deliver(batch)
        finally:
            self._sending.release()

    def _deliver(self, batch: Sequence[Waiting]) -> bool:
        answer = self._ask(batch)
        self._asked_s = answer.delay_s
        match answer.verdict:
            case Verdict.LATER:
                self.queue.put_back(batch)
                self.drops.trouble = answer.reason
                return False
            case Verdict.TOO_LARGE if len(batch) > 1:
                middle = len(batch) // 2
                if self._deliver(batch[:middle]):
                    return self._deliver(batch[middle:])
                self.queue.put_back(batch[middle:])
                return False
            case Verdict.TAKEN:
                self._count_taken(batch, answer)
            case Verdict.TOO_LARGE:
                self._drop(batch, answer, Reason.TOO_LARGE)
            case Verdict.NEVER:
                self._drop(batch, answer, Reason.REFUSED)
        return True

    def _ask(self, batch: Sequence[Waiting]) -> Answer:
        try:
            if (sender := self._sender) is None:
                self._has_sent = True
                sender = self._sender = self._make_sender()
        except Exception as error:  # noqa: BLE001 - a package that isn't there; the application must not see it
            return Answer(Verdict.NEVER, repr(error))
        spans = [span for span, _, _ in batch]
        answer = sender.send(Unhurried(spans, self._has_time))
        # An exporter that was closed while it sent or waited to retry says no more than that it failed.
        closed = self._closed or self._sender is not sender
        return Answer(Verdict.LATER) if closed and answer.verdict is Verdict.NEVER else answer

    def _has_time(self) -> bool:
        return not self._stopping and self.queue.bytes <= _CALM_SHARE * self._capacity

    def _count_taken(self, batch: Sequence[Waiting], answer: Answer) -> None:
        self.queue.done(batch)
        self.drops.trouble = ""
        sorts = Counter([sort for _, sort, _ in batch])
        if answer.rejected:
            sort = Sort.MIXED if len(sorts) > 1 else batch[0][1]
            self.drops.add(Reason.REJECTED, sort, answer.rejected, answer.reason)
        self.drops.sent.update(sorts)

    def _drop(self, batch: Sequence[Waiting], answer: Answer, reason: Reason) -> None:
        self.queue.done(batch)
        self.drops.add_all(reason, (sort for _, sort, _ in batch), answer.reason)
