"""A day's work: tasks come in waves, handled one by one and side by side in turn."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence

from collector_processor.demo.arbiter.model import Outcome, Task
from collector_processor.demo.arbiter.service import Arbiter, TaskFailedError

WAVE = 8
REVIEWED_LATER = 11
"""Every so manieth task is reviewed after it was handed back."""


class Day:
    """Sends tasks to an arbiter and keeps the accounts.

    Args:
        report: receives an event for each task that has ended.
    """

    def __init__(self, arbiter: Arbiter, report: Callable[[dict[str, object]], None]) -> None:
        self._arbiter = arbiter
        self._report = report
        self._ended: Counter[str] = Counter()
        self._times_ms: list[float] = []
        self._asked = 0

    def work(self, tasks: Sequence[Task]) -> dict[str, object]:
        """Work through all tasks; return how many ended how, and what they took."""
        wall, cpu = time.perf_counter(), time.process_time()
        self._asked = len(tasks)
        with asyncio.Runner() as runner:
            for number, start in enumerate(range(0, len(tasks), WAVE)):
                wave = tasks[start : start + WAVE]
                if number % 2:
                    runner.run(self._side_by_side(wave, start))
                else:
                    for place, task in enumerate(wave, start):
                        self._one(task, place)
                self._arbiter.absorb()
        handled = self._arbiter.handled
        cpu_s = time.process_time() - cpu
        return {
            "tasks": len(tasks),
            "subtasks": handled - len(tasks),
            **{ending: self._ended[ending] for ending in ("succeeded", "partial", "failed", "raised")},
            "wall_s": round(time.perf_counter() - wall, 3),
            "cpu_s": round(cpu_s, 3),
            "cpu_ms_per_task": round(cpu_s * 1000 / handled, 3),
            "median_ms_per_task": round(statistics.median(self._times_ms), 3),
        }

    def _one(self, task: Task, place: int) -> None:
        started = time.perf_counter()
        later = place % REVIEWED_LATER == 0
        try:
            outcome = self._arbiter.handle(task, review=not later)
        except TaskFailedError:
            self._count(task, None, started)
            return
        self._count(task, outcome, started)
        if later:
            self._arbiter.review(outcome)

    async def _side_by_side(self, wave: Sequence[Task], start: int) -> None:
        await asyncio.gather(*(self._one_async(task, place) for place, task in enumerate(wave, start)))

    async def _one_async(self, task: Task, place: int) -> None:
        started = time.perf_counter()
        later = place % REVIEWED_LATER == 0
        try:
            outcome = await self._arbiter.handle_async(task, review=not later)
        except TaskFailedError:
            self._count(task, None, started)
            return
        self._count(task, outcome, started)
        if later:
            await asyncio.to_thread(self._arbiter.review, outcome)

    def _count(self, task: Task, outcome: Outcome | None, started: float) -> None:
        elapsed_ms = (time.perf_counter() - started) * 1000
        self._times_ms.append(elapsed_ms)
        if outcome is None:
            ending = "raised"
        elif outcome.result.success:
            ending = "succeeded"
        else:
            ending = "partial" if outcome.result.partial_success else "failed"
        self._ended[ending] += 1
        self._report(
            {
                "event": "task",
                "task": task.id,
                "type": task.type,
                "agent": outcome.result.agent_id if outcome else None,
                "ending": ending,
                "score": round(outcome.evaluation.overall_score, 3) if outcome and outcome.evaluation else None,
                "ms": round(elapsed_ms, 2),
                "done": self._ended.total(),
                "of": self._asked,
            }
        )
