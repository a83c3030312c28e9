"""Facts of one task, united: what a record is folded from, whatever came when.

Union is by fact id, the first one wins, and the result is in order of (start, trace, span), so it does not matter
in which order, how often or in what portions facts arrive.

A host's own instrumentation may emit `invoke_agent` and `execute_tool` beside ours. All stay facts; `same_as` marks
those that another one stands for, and is worked out anew for each union.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from collector_processor.model.facts import Anomaly, ExecutionFact, Fact, Facts, ToolCallFact

_F = TypeVar("_F", bound=Fact)
_Call = TypeVar("_Call", ExecutionFact, ToolCallFact)


def unite(first: Facts, second: Facts) -> Facts:
    """Unite two sets of facts on one task; where both have one fact id, that of `first` stays."""
    corrections = {correction.fact_id: correction for correction in (*second.corrections, *first.corrections)}
    return arrange(
        Facts(
            task=first.task or second.task,
            routings=first.routings + second.routings,
            executions=first.executions + second.executions,
            tool_calls=first.tool_calls + second.tool_calls,
            model_calls=first.model_calls + second.model_calls,
            evaluations=first.evaluations + second.evaluations,
            corrections=tuple(sorted(corrections.values(), key=lambda each: (each.time, each.fact_id))),
            anomalies=first.anomalies + second.anomalies,
            # It came with the task: a task that came when nothing was known to compare with stays without.
            baseline=second.baseline if first.task is None else first.baseline,
            ended_by=second.ended_by if first.task is None and second.task is not None else first.ended_by,
            truncated=first.truncated or second.truncated,
        )
    )


def arrange(facts: Facts) -> Facts:
    """Bring facts into order, each once, and mark those that another one stands for."""
    return Facts(
        task=facts.task,
        routings=_ordered(facts.routings),
        executions=_marked(_ordered(facts.executions), _same_executions),
        tool_calls=_marked(_ordered(facts.tool_calls), _same_tool_calls),
        model_calls=_ordered(facts.model_calls),
        evaluations=_ordered(facts.evaluations),
        corrections=facts.corrections,
        anomalies=_anomalies(facts.anomalies) if facts.anomalies else (),
        baseline=facts.baseline,
        ended_by=facts.ended_by,
        truncated=facts.truncated,
    )


def counted(calls: Iterable[_Call]) -> list[_Call]:
    """Return the calls that stand for themselves."""
    return [call for call in calls if call.same_as is None]


def _place(fact: Fact) -> tuple[str, str, str, str]:
    return (fact.start, fact.trace_id, fact.span_id, fact.fact_id)


def _ordered(facts: tuple[_F, ...]) -> tuple[_F, ...]:
    if len(facts) < 2:
        return facts
    unique: dict[str, _F] = {}
    for fact in facts:
        unique.setdefault(fact.fact_id, fact)
    return tuple(sorted(unique.values(), key=_place))


def _anomalies(anomalies: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    unique: dict[tuple[str, str, str], Anomaly] = {}
    for anomaly in anomalies:
        unique.setdefault((anomaly.span_id, anomaly.field, anomaly.problem), anomaly)
    return tuple([unique[key] for key in sorted(unique)])


# -- Counted once ----------------------------------------------------------------------------------


Pairs = Iterable[tuple[Any, Any]]


def _marked(calls: tuple[_Call, ...], pairs_of: Callable[[tuple[Any, ...]], Pairs]) -> tuple[_Call, ...]:
    """Set `same_as` of every call, from pairs of calls that are one."""
    groups: dict[str, str] = {}
    for one, other in pairs_of(calls) if len(calls) > 1 else ():
        groups[_root(groups, one.fact_id)] = _root(groups, other.fact_id)
    if not groups:
        if all(call.same_as is None for call in calls):
            return calls
        return tuple([call if call.same_as is None else msgspec.structs.replace(call, same_as=None) for call in calls])
    standing: dict[str, _Call] = {}
    for call in calls:
        root = _root(groups, call.fact_id)
        best = standing.get(root)
        if best is None or _rank(call) < _rank(best):
            standing[root] = call
    marked = []
    for call in calls:
        best = standing[_root(groups, call.fact_id)]
        same_as = None if best.fact_id == call.fact_id else best.fact_id
        marked.append(call if call.same_as == same_as else msgspec.structs.replace(call, same_as=same_as))
    return tuple(marked)


def _root(groups: dict[str, str], fact_id: str) -> str:
    """Return what stands for a fact's group; groups are trees of fact ids."""
    while (above := groups.get(fact_id, fact_id)) != fact_id:
        groups[fact_id] = groups.get(above, above)  # halves the way for those who come later
        fact_id = above
    return fact_id


def _rank(call: ExecutionFact | ToolCallFact) -> tuple[bool, tuple[str, str, str, str]]:
    """Order in which one of a group is chosen: who follows the contract, which names the task, goes first."""
    return (call.task_id is None, _place(call))


def _same_executions(executions: tuple[ExecutionFact, ...]) -> Pairs:
    """Yield executions of one agent, one directly below the other."""
    by_span = {(each.trace_id, each.span_id): each for each in executions}
    for each in executions:
        above = by_span.get((each.trace_id, each.parent_span_id or ""))
        if above is not None and above is not each and _one_agent(each, above):
            yield each, above


def _one_agent(one: ExecutionFact, other: ExecutionFact) -> bool:
    if one.agent.id is not None and other.agent.id is not None:
        return one.agent.id == other.agent.id
    return one.agent.name is not None and one.agent.name == other.agent.name


def _same_tool_calls(calls: tuple[ToolCallFact, ...]) -> Pairs:
    """Yield calls of one id, and calls of one tool directly below one another unless their ids differ."""
    by_span = {(call.trace_id, call.span_id): call for call in calls}
    by_id: defaultdict[str, list[ToolCallFact]] = defaultdict(list)
    for call in calls:
        if call.call_id is not None:
            by_id[call.call_id].append(call)
        above = by_span.get((call.trace_id, call.parent_span_id or ""))
        if (
            above is not None
            and above is not call
            and call.tool_name is not None
            and call.tool_name == above.tool_name
            and (call.call_id is None or above.call_id is None)
        ):
            yield call, above
    for alike in by_id.values():
        if len(alike) > 1:
            yield from _same_id(alike)


def _same_id(calls: list[ToolCallFact]) -> Pairs:
    """Yield which calls of one call id, given in order of start, are one.

    Some models number their calls anew each turn, so one emitter's spans that don't overlap are calls of their own.
    Between the contract's spans and a host's own, clocks may differ: each of the host's goes with the contract's
    span that started last before it.
    """
    contract = [call for call in calls if call.task_id is not None]
    others = [call for call in calls if call.task_id is None]
    for emitter in (contract, others):
        longest = None
        for call in emitter:
            if longest is not None and call.start < longest.end:
                yield call, longest
            if longest is None or call.end > longest.end:
                longest = call
    if contract:
        starts = [call.start for call in contract]
        for other in others:
            yield other, contract[max(bisect_right(starts, other.start) - 1, 0)]
