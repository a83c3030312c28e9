"""Turns: what the agent did step by step, from tool calls and the turn events of its executions.

What carries a turn number is a turn; parallel calls of one number in one execution share it. Where nothing carries
a number, each call and each event is a turn, in order of start. Of a shared turn the first carrier's tool is named,
and of each score the first that somebody gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from collector_processor.model.facts import ExecutionFact, ToolCallFact, TurnScores
from collector_processor.model.record import Turn


class _Step(NamedTuple):
    """A carrier of turn scores; the tuple's order is the order of steps."""

    execution_start: str
    time: str
    trace_id: str
    span_id: str
    execution_id: str
    tool: str | None
    scores: TurnScores


def turns_of(
    executions: Sequence[ExecutionFact], tool_calls: Sequence[ToolCallFact], owners: Mapping[str, ExecutionFact]
) -> tuple[Turn, ...]:
    """Return a task's turns in order of execution, then number.

    `owners` holds the execution of each tool call (by fact id) that has one.
    """
    steps = []
    for call in tool_calls:
        owner = owners.get(call.fact_id)
        started, execution_id = (owner.start, owner.fact_id) if owner else (call.start, "")
        steps.append(_Step(started, call.start, call.trace_id, call.span_id, execution_id, call.tool_name, call.scores))
    steps += [
        _Step(each.start, turn.time, each.trace_id, each.span_id, each.fact_id, None, turn.scores)
        for each in executions
        for turn in each.turns
    ]
    steps.sort(key=lambda step: step[:4])
    if not any(step.scores.number is not None for step in steps):
        return tuple([_turn(number, [step]) for number, step in enumerate(sorted(steps, key=_by_time), start=1)])
    shared: dict[tuple[str, int], list[_Step]] = {}
    for step in steps:
        if step.scores.number is not None:
            shared.setdefault((step.execution_id, step.scores.number), []).append(step)
    ordered = sorted(shared.items(), key=lambda item: (item[1][0].execution_start, item[0][1], item[1][0].time))
    return tuple([_turn(number, carriers) for (_, number), carriers in ordered])


def _by_time(step: _Step) -> tuple[str, str, str]:
    return step[1:4]


def _turn(number: int, steps: list[_Step]) -> Turn:
    if len(steps) == 1:
        tool, scores = steps[0].tool, steps[0].scores
    else:
        tool = next((step.tool for step in steps if step.tool is not None), None)
        scores = TurnScores(
            number,
            *[_first([getattr(step.scores, name) for step in steps]) for name in TurnScores.__struct_fields__[1:]],
        )
    return Turn(
        number,
        tool,
        scores.information_gain,
        scores.format_correctness,
        scores.task_progress,
        scores.safety_score,
        scores.reward,
    )


def _first(values: list[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
