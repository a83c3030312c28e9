"""The record's section execution: of several runs the one that ended last decides, tokens and cost are summed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from collector_processor.convert.sections import newest
from collector_processor.convert.union import counted
from collector_processor.model.facts import ExecutionFact, Facts, ModelCallFact, ToolCallFact
from collector_processor.model.record import Execution, ToolUse
from collector_processor.model.times import milliseconds_between


class Usage(NamedTuple):
    """Tokens and cost; `derived` where they are the sum of model calls."""

    input_tokens: int | None
    output_tokens: int | None
    thinking_tokens: int | None
    cached_tokens: int | None
    cost_usd: float | None
    derived: bool


class Runs(NamedTuple):
    """A task's executions that count, what their model calls add up to, and whose each tool call is (by fact id)."""

    executions: Sequence[ExecutionFact]
    decisive: ExecutionFact | None
    usage: Usage
    tool_calls: Sequence[ToolCallFact]
    owners: Mapping[str, ExecutionFact]


def runs_of(facts: Facts) -> Runs:
    """Sort a task's executions, tool calls and model calls out."""
    executions = counted(facts.executions)
    if len(executions) != len(facts.executions):
        executions = [_completed(each, facts.executions) for each in executions]
    by_fact = {each.fact_id: each for each in executions}
    by_span = {each.span_id: by_fact[each.same_as or each.fact_id] for each in facts.executions}
    only = executions[0] if len(executions) == 1 else None
    tool_calls = counted(facts.tool_calls)
    owners = {}
    for call in tool_calls:
        owner = by_span.get(call.execution_span_id or call.parent_span_id or "", only)
        if owner is not None:
            owners[call.fact_id] = owner
    model_calls: dict[str, list[ModelCallFact]] = {}
    for model_call in facts.model_calls:
        owner = by_span.get(model_call.execution_span_id or model_call.parent_span_id or "")
        if owner is not None:
            model_calls.setdefault(owner.fact_id, []).append(model_call)
    usages = [_usage(each, model_calls.get(each.fact_id, ())) for each in executions]
    usage = usages[0] if len(usages) == 1 else _sum_of(usages)
    return Runs(executions, newest(executions), usage, tool_calls, owners)


def execution_section(runs: Runs, overall_score: float | None) -> Execution | None:
    """Write the executions of a task as one; null where there is none."""
    last = runs.decisive
    if last is None:
        return None
    first = runs.executions[0]
    usage = runs.usage
    tokens = (
        None if usage.input_tokens is None or usage.output_tokens is None else usage.input_tokens + usage.output_tokens
    )
    calls = runs.tool_calls
    first_call = next((call for call in calls if call.start >= first.start), None)
    return Execution(
        agent=last.agent,
        model=last.model,
        provider=last.provider,
        success=last.success,
        partial_success=last.partial_success,
        failure_reason=last.failure_reason,
        latency_ms=last.latency_ms if first is last else milliseconds_between(first.start, last.end),
        tokens_used=tokens,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        thinking_tokens=usage.thinking_tokens,
        cached_tokens=usage.cached_tokens,
        tokens_derived=usage.derived,
        cost_usd=usage.cost_usd,
        tool_call_count=len(calls),
        tool_call_success_rate=_rate([call.success for call in calls]),
        tools_used=_tools(calls),
        token_efficiency=token_efficiency(overall_score, tokens),
        time_to_first_action_ms=milliseconds_between(first.start, first_call.start) if first_call else None,
        cpu_time_ms=_sum(each.cpu_time_ms for each in runs.executions),
        memory_peak_bytes=max(
            (each.memory_peak_bytes for each in runs.executions if each.memory_peak_bytes is not None), default=None
        ),
    )


def token_efficiency(overall_score: float | None, tokens: int | None) -> float | None:
    """Score per 1,000 tokens; null where either is missing or no token was used."""
    return overall_score * 1000 / tokens if overall_score is not None and tokens else None


def _completed(execution: ExecutionFact, executions: Iterable[ExecutionFact]) -> ExecutionFact:
    """Take what an execution does not say from the spans that it stands for."""
    missing: dict[str, Any] = {}
    for other in executions:
        if other.same_as == execution.fact_id:
            for name in ("model", "provider", *Usage._fields[:-1], "cpu_time_ms", "memory_peak_bytes"):
                if getattr(execution, name) is None:
                    missing.setdefault(name, getattr(other, name))
    return msgspec.structs.replace(execution, **missing) if missing else execution


def _usage(execution: ExecutionFact, calls: Sequence[ModelCallFact]) -> Usage:
    """Return what an execution reports; where it has no tokens of its own, the sum of its model calls."""
    cost = execution.cost_usd
    if cost is None and calls:
        cost = _sum(call.cost_usd for call in calls)
    if not calls or execution.input_tokens is not None or execution.output_tokens is not None:
        return Usage(
            execution.input_tokens,
            execution.output_tokens,
            execution.thinking_tokens,
            execution.cached_tokens,
            cost,
            derived=False,
        )
    return Usage(
        _sum(call.input_tokens for call in calls),
        _sum(call.output_tokens for call in calls),
        _sum(call.thinking_tokens for call in calls),
        _sum(call.cached_tokens for call in calls),
        cost,
        derived=True,
    )


def _sum_of(usages: Sequence[Usage]) -> Usage:
    return Usage(
        _sum(usage.input_tokens for usage in usages),
        _sum(usage.output_tokens for usage in usages),
        _sum(usage.thinking_tokens for usage in usages),
        _sum(usage.cached_tokens for usage in usages),
        _sum(usage.cost_usd for usage in usages),
        any(usage.derived for usage in usages),
    )


def _sum(values: Iterable[Any]) -> Any:
    """Add up the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _rate(answers: Iterable[bool | None]) -> float | None:
    """Return the share of yes among the answers given; None where there is none."""
    given = [answer for answer in answers if answer is not None]
    return sum(given) / len(given) if given else None


def _tools(calls: Sequence[ToolCallFact]) -> tuple[ToolUse, ...]:
    by_name: dict[str, list[ToolCallFact]] = {}
    for call in calls:
        if call.tool_name is not None:
            by_name.setdefault(call.tool_name, []).append(call)
    return tuple(
        [
            ToolUse(
                name,
                len(used),
                _rate([call.success for call in used]),
                _rate([call.effective for call in used]),
                sum([call.latency_ms for call in used]) / len(used),
            )
            for name, used in sorted(by_name.items())
        ]
    )
