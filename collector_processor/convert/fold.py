"""Facts → BenchmarkDataPoint. The fold is pure: equal facts give an equal record, in whatever order they came."""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from collector_processor.convert.correct import corrected, with_unfit
from collector_processor.convert.execution import execution_section, runs_of, token_efficiency
from collector_processor.convert.reward import reward_of
from collector_processor.convert.sections import (
    current_evaluation,
    evaluation_section,
    over,
    routing_before,
    routing_section,
)
from collector_processor.convert.turns import turns_of
from collector_processor.convert.weights import adjusted_count
from collector_processor.model.facts import Authorship, Caws, Facts, TaskFact
from collector_processor.model.record import (
    SCHEMA_VERSION,
    BenchmarkDataPoint,
    Completeness,
    Emitter,
    Evaluation,
    Execution,
    Outcome,
    Provenance,
    RlLabels,
    Routing,
    Sampling,
    Section,
    State,
    Task,
    Turn,
)
from collector_processor.model.times import is_possible

_NO_AUTHORSHIP: Final = Authorship()


class FoldSettings(NamedTuple):
    """What a record depends on beside its facts: settings of the operator.

    Attributes:
        evaluator: whose evaluation it carries; None: any with an overall score.
        unsampled: sources that send every task (see `weights.adjusted_count`).
    """

    evaluator: str | None = None
    unsampled: frozenset[str] = frozenset()


def fold(point: UUID, facts: Facts, revision: int, settings: FoldSettings) -> BenchmarkDataPoint:
    """Fold a task's facts, in the order that `unite` gives them, into its record; the verdict is left to the guard.

    Raises:
        ValueError: the facts have no task.
    """
    task = facts.task
    if task is None:
        raise ValueError(f"facts of {point} have no task: a record exists only from its task span")
    runs = runs_of(facts)
    current = current_evaluation(facts.evaluations, settings.evaluator)
    caws = over(current.caws if current else None, task.caws)
    authorship = over(current.authorship if current else None, task.authorship) or _NO_AUTHORSHIP
    evaluation = evaluation_section(current, facts, caws) if current else None
    decided = routing_before(facts.routings, runs.decisive)
    routing = routing_section(decided) if decided else None
    execution = execution_section(runs, evaluation.overall_score if evaluation else None)
    record = BenchmarkDataPoint(
        id=point,
        timestamp=timestamp_of(task),
        tenant_id=task.tenant,
        schema_version=SCHEMA_VERSION,
        revision=revision,
        completeness=Completeness(_seen(routing, execution, evaluation), facts.ended_by, facts.truncated),
        state=State.ACCEPTED,
        verdict=None,
        sampling=Sampling(adjusted_count=adjusted_count(task, settings.unsampled)),
        task=_task(task, caws),
        routing=routing,
        execution=execution,
        evaluation=evaluation,
        rl_labels=_labels(
            turns_of(runs.executions, runs.tool_calls, runs.owners), task.type, task.reward, execution, evaluation
        ),
        provenance=_provenance(task, authorship, caws),
        caws=caws,
        facts=facts,
    )
    if not facts.corrections:
        return record
    record, unfit = corrected(record, facts.corrections)
    return msgspec.structs.replace(_derived_again(record, task.reward), facts=with_unfit(facts, unfit))


def timestamp_of(task: TaskFact) -> str:
    """Return when the task was received: its start, or its arrival here where the start can't be true."""
    return task.start if is_possible(task.start, task.received_at) else task.received_at


def _task(task: TaskFact, caws: Caws | None) -> Task:
    return Task(
        id=task.task_id,
        conversation_id=task.conversation_id,
        type=task.type,
        complexity=task.complexity,
        group_id=task.group_id,
        attempt=task.attempt,
        requirements=task.requirements,
        description=task.description,
        caws_spec_id=caws.spec_id if caws else None,
        parent_task_id=task.parent_task_id,
    )


def _derived_again(record: BenchmarkDataPoint, reported: float | None) -> BenchmarkDataPoint:
    """Bring what follows from the sections in line with them, after a person has changed them."""
    execution, evaluation = record.execution, record.evaluation
    if execution is not None:
        score = evaluation.overall_score if evaluation else None
        execution = msgspec.structs.replace(execution, token_efficiency=token_efficiency(score, execution.tokens_used))
    return msgspec.structs.replace(
        record,
        execution=execution,
        completeness=msgspec.structs.replace(record.completeness, seen=_seen(record.routing, execution, evaluation)),
        rl_labels=_labels(record.rl_labels.turns, record.task.type, reported, execution, evaluation),
    )


def _seen(routing: Routing | None, execution: Execution | None, evaluation: Evaluation | None) -> tuple[Section, ...]:
    sections = {Section.ROUTING: routing, Section.EXECUTION: execution, Section.EVALUATION: evaluation}
    return (Section.TASK, *(name for name, section in sections.items() if section is not None))


def _labels(
    turns: tuple[Turn, ...],
    task_type: str | None,
    reported: float | None,
    execution: Execution | None,
    evaluation: Evaluation | None,
) -> RlLabels:
    reward = reward_of(task_type, evaluation, reported)
    return RlLabels(
        turns=turns,
        final_outcome=_outcome(execution),
        total_reward=reward.total,
        reward_terms=reward.terms,
        reward_version=reward.version,
    )


def _outcome(execution: Execution | None) -> Outcome | None:
    if execution is None or execution.success is None:
        return None
    if execution.partial_success:
        return Outcome.PARTIAL
    return Outcome.SUCCESS if execution.success else Outcome.FAILURE


def _provenance(task: TaskFact, authorship: Authorship, caws: Caws | None) -> Provenance:
    return Provenance(
        trace_id=task.trace_id,
        span_id=task.span_id,
        ai_assisted=authorship.ai_assisted,
        human_reviewed=authorship.human_reviewed,
        commit_hash=authorship.commit_hash,
        caws_version=caws.version if caws else None,
        emitter=Emitter(task.emitter_id, task.emitter_sequence),
        overhead_ms=task.overhead_ms,
        sampler=task.sampler,
        source=task.source,
        convention=task.convention,
    )
