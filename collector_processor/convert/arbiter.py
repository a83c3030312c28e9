"""The `arbiter` convention: lifecycle spans → facts.

A lifecycle span is found by the first word of its name and confirmed by an attribute (the span contract in
`otel_benchmark/README.md`). Old GenAI names are read where the new ones are missing.
"""

from __future__ import annotations

from typing import Final

from collector_processor.convert import evaluations
from collector_processor.convert.decode import STATUS_OK, Ancestry, Decoded, Nearest, Span
from collector_processor.convert.feedback import is_carrier
from collector_processor.convert.parts import failure_of, tenant_of, turn_events, turn_scores, usage_of
from collector_processor.convert.routing import routing_fact
from collector_processor.convert.source import describe
from collector_processor.model.facts import (
    Agent,
    Anomaly,
    Convention,
    EvaluationFact,
    ExecutionFact,
    Facts,
    ModelCallFact,
    Problem,
    RoutingFact,
    TaskFact,
    ToolCallFact,
    TurnScores,
)
from collector_processor.model.stages import SealedTask, SealKind
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind

_KINDS: Final = {kind.value: kind for kind in Kind}
_NOT_THE_AGENTS: Final = "not the agent's"
"""Marks spans below which a model call is not an execution's."""
_NO_SCORES: Final = TurnScores()


class ArbiterAdapter:
    """Reads spans of our plugin, and of any emitter that follows the same contract."""

    convention = Convention.ARBITER

    def read(self, sealed: SealedTask, decoded: Decoded) -> Facts:
        """Return what a sealed task's spans say."""
        return _Reading(sealed, decoded).facts()


def recognise(span: Span) -> Kind | None:
    """Return the kind of a lifecycle span, None for any other."""
    kind = _KINDS.get(span.word)
    if kind is None:
        return Kind.EVALUATION if is_carrier(span) else None
    has = span.attributes.has
    if has(a.TASK_ID) is not None:
        return kind
    if kind in (Kind.EXECUTION, Kind.TOOL_CALL):
        confirmed = has(a.GEN_AI_OPERATION_NAME) is not None
    elif kind is Kind.ROUTE:
        confirmed = has(a.ROUTING_SELECTED_ID) is not None
    elif kind is Kind.EVALUATION:
        confirmed = (
            has(a.EVALUATION_OVERALL_SCORE) is not None
            or bool(span.events(a.GEN_AI_EVALUATION_EVENT))
            or is_carrier(span)
        )
    else:
        confirmed = False
    return kind if confirmed else None


class _Reading:
    """One task while it is read."""

    def __init__(self, sealed: SealedTask, decoded: Decoded) -> None:
        self._sealed = sealed
        self._decoded = decoded
        self._trace_id = sealed.trace_id.hex()
        self._kinds: dict[bytes, Kind] = {}
        self._model_calls: dict[bytes, Span] = {}
        for span_id, span in decoded.spans.items():
            own = sealed.kind is SealKind.TASK and span_id == sealed.span_id
            kind = Kind.TASK if own else recognise(span)
            if kind is not None:
                self._kinds[span_id] = kind
            elif b"gen_ai.operation.name" in span.raw:
                operation = span.attributes.has(a.GEN_AI_OPERATION_NAME)
                if operation is not None and operation.string_value in a.MODEL_OPERATIONS:
                    self._model_calls[span_id] = span
        ancestry = Ancestry(decoded)
        runs: dict[bytes, str | None] = {}
        callers: dict[bytes, str | None] = dict.fromkeys(self._model_calls, _NOT_THE_AGENTS)
        for span_id, kind in self._kinds.items():
            if kind is Kind.EXECUTION:
                runs[span_id] = callers[span_id] = span_id.hex()
            elif kind is not Kind.TOOL_CALL:
                callers[span_id] = _NOT_THE_AGENTS
                if kind is Kind.TASK:
                    runs[span_id] = None
        self._executions = Nearest(ancestry, runs)
        self._callers = Nearest(ancestry, callers)

    def facts(self) -> Facts:
        """Read span by span."""
        sealed, spans = self._sealed, self._decoded.spans
        task: TaskFact | None = None
        routings: list[RoutingFact] = []
        executions: list[ExecutionFact] = []
        tool_calls: list[ToolCallFact] = []
        evaluated: list[EvaluationFact] = []
        for span_id, kind in self._kinds.items():
            span = spans[span_id]
            if kind is Kind.TASK:
                if span_id != sealed.span_id:
                    continue  # a task attaches to no other record: it opens its own
                task = self._task(span)
            elif kind is Kind.ROUTE:
                routings.append(routing_fact(span, span.head(self._trace_id), failure_of(span).error_type))
            elif kind is Kind.EXECUTION:
                executions.append(self._execution(span))
            elif kind is Kind.TOOL_CALL:
                tool_calls.append(self._tool_call(span))
            else:
                evaluated.append(evaluations.from_span(span, span.head(self._trace_id), failure_of(span).error_type))
                continue
            evaluated += evaluations.beside(span, self._trace_id)
        model_calls: list[ModelCallFact] = []
        for span in self._model_calls.values():
            if (call := self._model_call(span)) is not None:
                model_calls.append(call)
            evaluated += evaluations.beside(span, self._trace_id)
        for span_id, span in spans.items():
            if span_id not in self._kinds and span_id not in self._model_calls:
                evaluated += evaluations.beside(span, self._trace_id)
        evaluated += [evaluations.from_record(record, self._trace_id) for record in self._decoded.records]
        return Facts(
            task=task,
            routings=tuple(routings),
            executions=tuple(executions),
            tool_calls=tuple(tool_calls),
            model_calls=tuple(model_calls),
            evaluations=tuple(evaluated),
            anomalies=(*self._decoded.problems, *self._noticed()),
            ended_by=sealed.ended_by,
            truncated=sealed.truncated,
        )

    def _task(self, span: Span) -> TaskFact:
        read = span.attributes
        described = describe(span.origin)
        for problem in described.problems:
            read.flag(problem.field, problem.problem, problem.detail or "")
        return TaskFact(
            *span.head(self._trace_id),
            received_at=to_text(span.arrived),
            convention=Convention.ARBITER,
            source=described.source,
            task_id=read.text(a.TASK_ID),
            type=read.text(a.TASK_TYPE),
            complexity=read.text(a.TASK_COMPLEXITY),
            conversation_id=read.text(a.GEN_AI_CONVERSATION_ID),
            group_id=read.text(a.TASK_GROUP_ID),
            attempt=read.integer(a.TASK_ATTEMPT),
            requirements=read.said(a.TASK_REQUIREMENTS),
            description=read.text(a.TASK_DESCRIPTION),
            parent_task_id=read.text(a.TASK_PARENT_ID),
            reward=read.number(a.TASK_REWARD),
            tenant=tenant_of(read),
            emitter_id=read.text(a.EMITTER_ID),
            emitter_sequence=read.integer(a.EMITTER_SEQUENCE),
            overhead_ms=read.number(a.COLLECTION_OVERHEAD_MS),
            sampler=read.text(a.SAMPLER),
            trace_state=read.clean("trace_state", span.message.trace_state),
            error_type=failure_of(span).error_type,
            caws=evaluations.caws_of(read, span.raw),
            authorship=evaluations.authorship_of(read, span.raw),
        )

    def _execution(self, span: Span) -> ExecutionFact:
        read = span.attributes
        failure = failure_of(span)
        success = read.boolean(a.EXECUTION_SUCCESS)
        if success is None and failure.failed:
            success = False
        reason = read.text(a.EXECUTION_FAILURE_REASON)
        if reason is None and success is False:
            reason = failure.reason
        return ExecutionFact(
            *span.head(self._trace_id),
            task_id=read.text(a.TASK_ID),
            agent=Agent(
                read.text(a.AGENT_ID) or read.text(a.GEN_AI_AGENT_ID),
                read.text(a.GEN_AI_AGENT_NAME) or read.clean("name", span.rest),
                read.text(a.AGENT_VERSION) or read.text(a.GEN_AI_AGENT_VERSION),
            ),
            latency_ms=(span.end - span.start) / 1e6,
            model=read.text(a.GEN_AI_REQUEST_MODEL) or read.text(a.GEN_AI_RESPONSE_MODEL),
            provider=read.text(a.GEN_AI_PROVIDER_NAME) or read.text(a.FORMER_PROVIDER_NAME),
            success=success,
            partial_success=read.boolean(a.EXECUTION_PARTIAL_SUCCESS),
            failure_reason=reason,
            error_type=failure.error_type,
            **usage_of(read, span.raw),
            cpu_time_ms=read.number(a.EXECUTION_CPU_TIME_MS),
            memory_peak_bytes=read.integer(a.EXECUTION_MEMORY_PEAK_BYTES),
            turns=turn_events(span),
        )

    def _tool_call(self, span: Span) -> ToolCallFact:
        read = span.attributes
        failure = failure_of(span)
        success = read.boolean(a.TOOL_SUCCESS)
        if success is None:
            success = False if failure.failed else True if span.message.status.code == STATUS_OK else None
        return ToolCallFact(
            *span.head(self._trace_id),
            task_id=read.text(a.TASK_ID),
            execution_span_id=self._executions.above(span, None),
            tool_name=read.text(a.GEN_AI_TOOL_NAME) or read.clean("name", span.rest),
            latency_ms=(span.end - span.start) / 1e6,
            tool_type=read.text(a.GEN_AI_TOOL_TYPE),
            call_id=read.text(a.GEN_AI_TOOL_CALL_ID),
            success=success,
            effective=read.boolean(a.TOOL_EFFECTIVE),
            error_type=failure.error_type,
            scores=turn_scores(read) if b"arbiter.turn." in span.raw else _NO_SCORES,
        )

    def _model_call(self, span: Span) -> ModelCallFact | None:
        """Read a model call of an execution: not one of a router or evaluator, nor one inside another call."""
        execution = self._callers.above(span, None)
        if execution == _NOT_THE_AGENTS:
            return None
        read = span.attributes
        return ModelCallFact(
            *span.head(self._trace_id),
            execution_span_id=execution,
            model=read.text(a.GEN_AI_RESPONSE_MODEL) or read.text(a.GEN_AI_REQUEST_MODEL),
            **usage_of(read, span.raw),
        )

    def _noticed(self) -> list[Anomaly]:
        """Return what the assembler noticed of the task's tree."""
        sealed = self._sealed
        noticed = []
        if sealed.cyclic:
            detail = "the parents above it form a circle"
            noticed += [Anomaly(each.hex(), "parent_span_id", Problem.CYCLE, detail) for each in self._kinds]
        if sealed.children_given_away:
            detail = "spans below it waited longer than MAX_TASK_AGE and were handed on without it"
            noticed.append(Anomaly(sealed.span_id.hex(), "parent_span_id", Problem.CHILDREN_GIVEN_AWAY, detail))
        return noticed
