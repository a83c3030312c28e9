"""The tasks of this process: what their other spans need to know, and the numbering that makes loss measurable."""

from __future__ import annotations

import itertools
import os
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otel_benchmark.extract import Attributes

MAX_TASKS: Final = 8192
"""Tasks remembered by id, the oldest forgotten first. An entry holds no span, about half a kilobyte."""


class TaskState:
    """One task: its identity as attributes, where its span is, and the time our wrappers took from it."""

    __slots__ = ("ended", "id", "identity", "overhead_ns", "span_context")

    def __init__(self, task_id: str, identity: Attributes) -> None:
        self.id = task_id
        self.identity = identity
        self.span_context: SpanContext | None = None
        self.ended = False
        # Threads of one task add to it unlocked: a lost addition of microseconds is cheaper than a lock per span.
        self.overhead_ns = 0


class KnownTasks:
    """Task id → state, so that a router or evaluator called without the task's context finds its task."""

    def __init__(self, limit: int = MAX_TASKS) -> None:
        self._limit = limit
        self._tasks: OrderedDict[str, TaskState] = OrderedDict()

    def remember(self, task: TaskState) -> None:
        """Add a task; a repeated id (another attempt) means its newest task."""
        # Each of these calls is atomic, and there is no lock that a fork could copy while it is held.
        self._tasks.pop(task.id, None)
        self._tasks[task.id] = task
        if len(self._tasks) > self._limit:
            self._tasks.popitem(last=False)

    def find(self, task_id: str) -> TaskState | None:
        """Return the newest task of this id, running or ended, None when unknown or forgotten."""
        return self._tasks.get(task_id)

    def __len__(self) -> int:
        return len(self._tasks)


class Emitter:
    """This process as a source of tasks: a random id, and a number for each task span that will be exported."""

    def __init__(self) -> None:
        self.id = ""
        self._numbers = itertools.count(1)
        self.renew()

    def renew(self) -> None:
        """Start again under a new id: a forked child is a source of its own, else numbers would repeat."""
        self.id = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def next_sequence(self) -> int:
        """Return 1, 2, 3, … without gaps."""
        return next(self._numbers)


KNOWN_TASKS: Final = KnownTasks()
EMITTER: Final = Emitter()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=EMITTER.renew)
