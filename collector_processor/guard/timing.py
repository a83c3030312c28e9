"""The gates time-window and timing: times are possible, and a task's parts lie within it."""

from __future__ import annotations

from collections.abc import Iterator

from collector_processor.guard.findings import Context, Finding
from collector_processor.model.facts import Fact
from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.times import EARLIEST, is_possible, milliseconds_between


def time_window(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on a time before 2000, and on a task's time more than a day ahead of its arrival."""
    facts = point.facts
    task = facts.task
    if task is not None:
        for name, time in (("start", task.start), ("end", task.end)):
            if not is_possible(time, task.received_at):
                yield Finding(f"facts.task.{name} = {time} is before 2000 or more than a day after {task.received_at}")
    for name, group in (
        ("routings", facts.routings),
        ("executions", facts.executions),
        ("toolCalls", facts.tool_calls),
        ("modelCalls", facts.model_calls),
        ("evaluations", facts.evaluations),
    ):
        for place, fact in enumerate(group):
            if fact.start < EARLIEST:
                yield Finding(f"facts.{name}[{place}].start = {fact.start} is before {EARLIEST}")


def timing(point: BenchmarkDataPoint, context: Context) -> Iterator[Finding]:
    """Fail where the first action comes after the execution, or a descendant lies outside its task.

    Evaluations may come any time later, and facts that were joined by id or link run on another clock.
    """
    execution = point.execution
    first_ms = execution.time_to_first_action_ms if execution else None
    if execution and first_ms is not None and first_ms > execution.latency_ms:
        yield Finding(f"execution.timeToFirstActionMs = {first_ms:g} is above latencyMs = {execution.latency_ms:g}")
    facts = point.facts
    task = facts.task
    if task is None:
        return
    for name, group in (
        ("routings", facts.routings),
        ("executions", facts.executions),
        ("toolCalls", facts.tool_calls),
        ("modelCalls", facts.model_calls),
    ):
        for place, fact in enumerate(group):
            if fact.start >= task.start and fact.end <= task.end:
                continue
            if not getattr(fact, "joined", False) and (outside := _outside_ms(fact, task)) > context.clock_skew_ms:
                yield Finding(
                    f"facts.{name}[{place}] lies {outside:g} ms outside its task, CLOCK_SKEW is"
                    f" {context.clock_skew_ms:g} ms"
                )


def _outside_ms(fact: Fact, task: Fact) -> float:
    return max(milliseconds_between(fact.start, task.start), milliseconds_between(task.end, fact.end))
