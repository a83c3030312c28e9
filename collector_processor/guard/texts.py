"""Where texts stand in facts: a table made from the types themselves, so that a field that is added is searched too.

A text goes by the name of the attribute that says it, which is what its anomalies and findings call it. Identities
and times that this program writes itself are no texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from collector_processor.guard.privacy import Text
from collector_processor.model.facts import (
    Agent,
    Anomaly,
    Authorship,
    Baseline,
    Candidate,
    Caws,
    Correction,
    EvaluationFact,
    Evaluator,
    ExecutionFact,
    Fact,
    Facts,
    ModelCallFact,
    QualityGate,
    RoutingFact,
    Source,
    TaskFact,
    ToolCallFact,
    TurnFact,
)
from otel_benchmark import attributes as a

_T = TypeVar("_T", bound=msgspec.Struct)

NAMES: Final[Mapping[type[msgspec.Struct], Mapping[str, str]]] = {
    TaskFact: {
        "task_id": a.TASK_ID,
        "type": a.TASK_TYPE,
        "complexity": a.TASK_COMPLEXITY,
        "conversation_id": a.GEN_AI_CONVERSATION_ID,
        "group_id": a.TASK_GROUP_ID,
        "requirements": a.TASK_REQUIREMENTS,
        "description": a.TASK_DESCRIPTION,
        "parent_task_id": a.TASK_PARENT_ID,
        "emitter_id": a.EMITTER_ID,
        "sampler": a.SAMPLER,
        "trace_state": "trace_state",
        "error_type": a.ERROR_TYPE,
    },
    Source: {
        "service_name": a.SERVICE_NAME,
        "service_namespace": a.SERVICE_NAMESPACE,
        "service_version": a.SERVICE_VERSION,
        "sdk_name": a.TELEMETRY_SDK_NAME,
        "sdk_language": a.TELEMETRY_SDK_LANGUAGE,
        "sdk_version": a.TELEMETRY_SDK_VERSION,
        "scope_name": "scope.name",
        "scope_version": "scope.version",
    },
    RoutingFact: {
        "task_id": a.TASK_ID,
        "selected_id": a.ROUTING_SELECTED_ID,
        "selected_name": a.ROUTING_SELECTED_NAME,
        "model_family": a.ROUTING_SELECTED_MODEL_FAMILY,
        "strategy": a.ROUTING_STRATEGY,
        "rationale": a.ROUTING_RATIONALE,
        "policy_version": a.ROUTING_POLICY_VERSION,
        "error_type": a.ERROR_TYPE,
    },
    Candidate: {"agent_id": a.ROUTING_CANDIDATE_IDS, "reason": a.ROUTING_CANDIDATE_REASONS},
    ExecutionFact: {
        "task_id": a.TASK_ID,
        "model": a.GEN_AI_REQUEST_MODEL,
        "provider": a.GEN_AI_PROVIDER_NAME,
        "failure_reason": a.EXECUTION_FAILURE_REASON,
        "error_type": a.ERROR_TYPE,
    },
    Agent: {"id": a.AGENT_ID, "name": a.GEN_AI_AGENT_NAME, "version": a.AGENT_VERSION},
    ToolCallFact: {
        "task_id": a.TASK_ID,
        "tool_name": a.GEN_AI_TOOL_NAME,
        "tool_type": a.GEN_AI_TOOL_TYPE,
        "call_id": a.GEN_AI_TOOL_CALL_ID,
        "error_type": a.ERROR_TYPE,
    },
    ModelCallFact: {"model": a.GEN_AI_RESPONSE_MODEL},
    EvaluationFact: {"task_id": a.TASK_ID, "rubric_version": a.RUBRIC_VERSION, "error_type": a.ERROR_TYPE},
    Evaluator: {"name": a.EVALUATOR_NAME, "version": a.EVALUATOR_VERSION, "kind": a.EVALUATOR_KIND},
    QualityGate: {
        "name": a.GEN_AI_EVALUATION_NAME,
        "label": a.GEN_AI_EVALUATION_SCORE_LABEL,
        "explanation": a.GEN_AI_EVALUATION_EXPLANATION,
    },
    Caws: {
        "spec_id": a.CAWS_SPEC_ID,
        "verdict_id": a.CAWS_VERDICT_ID,
        "version": a.CAWS_VERSION,
        "waivers_used": a.CAWS_WAIVERS,
        "gates_passed": a.CAWS_GATES_PASSED,
        "arbiter_signature": a.CAWS_SIGNATURE,
    },
    Authorship: {"commit_hash": a.PROVENANCE_COMMIT_HASH},
    Anomaly: {"detail": "anomalies.detail"},
    Baseline: {"task_type": a.TASK_TYPE},
    Correction: {"reason": "corrections.reason", "patch": "corrections.patch"},
}
"""Texts by the attributes that say them; one that is missing here is searched under its field's name."""

NO_TEXTS: Final[Mapping[type[msgspec.Struct], frozenset[str]]] = {
    Fact: frozenset({"fact_id", "trace_id", "span_id", "parent_span_id", "start", "end"}),
    # A tenant is a keyed hash when its task is searched.
    TaskFact: frozenset({"received_at", "tenant"}),
    TurnFact: frozenset({"time"}),
    ExecutionFact: frozenset({"same_as"}),
    ToolCallFact: frozenset({"execution_span_id", "same_as"}),
    ModelCallFact: frozenset({"execution_span_id"}),
    EvaluationFact: frozenset({"links"}),
    # Its field is an attribute of the contract.
    Anomaly: frozenset({"span_id", "field"}),
    # Who decides about records answers for it by name.
    Correction: frozenset({"fact_id", "time", "author"}),
    # What was usual is read from our own tables.
    Baseline: frozenset({"window_start", "window_end"}),
}
"""What this program writes itself, or has checked."""

COMMON: Final = frozenset({a.TASK_ID, a.TASK_PARENT_ID, a.EMITTER_ID, *NAMES[Source].values()})
"""What several tenants' spans are joined by, or come from: its pseudonyms are the same for all tenants."""

IDENTIFIERS: Final = frozenset(
    {
        a.AGENT_ID,
        a.CAWS_SPEC_ID,
        a.CAWS_VERDICT_ID,
        a.EMITTER_ID,
        a.GEN_AI_AGENT_ID,
        a.GEN_AI_CONVERSATION_ID,
        a.GEN_AI_TOOL_CALL_ID,
        a.ROUTING_CANDIDATE_IDS,
        a.ROUTING_SELECTED_ID,
        a.SERVICE_NAME,
        a.SERVICE_NAMESPACE,
        a.TASK_GROUP_ID,
        a.TASK_ID,
        a.TASK_PARENT_ID,
    }
)
"""What is the same thing wherever it is written alike, so that it must not be alike by redaction."""


class Gathered(NamedTuple):
    """All texts of some facts, and for each group of them where it begins and the span that said it."""

    texts: list[Text]
    spans: list[tuple[int, str]]


class Plan:
    """How the texts of one type are read, and written anew in the same order."""

    def __init__(self, type_: type[msgspec.Struct]) -> None:
        names = {field: name for each in reversed(type_.__mro__) for field, name in NAMES.get(each, {}).items()}
        exempt = frozenset[str]().union(*(NO_TEXTS.get(each, ()) for each in type_.__mro__))
        self.texts: dict[str, str] = {}
        self.lists: dict[str, str] = {}
        self.documents: dict[str, str] = {}
        self.parts: dict[str, Plan] = {}
        self.groups: dict[str, Plan] = {}
        for field, hint in get_type_hints(type_).items():
            if field not in type_.__struct_fields__ or field in exempt:
                continue
            kind, many = _taken_apart(hint)
            if kind is str:
                (self.lists if many else self.texts)[field] = names.get(field, field)
            elif get_origin(kind) is dict:
                self.documents[field] = names.get(field, field)
            elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                plan = plan_of(kind)
                if plan.anything:
                    (self.groups if many else self.parts)[field] = plan
        self.owned = "span_id" in type_.__struct_fields__
        self._keys = tuple(self.texts.values())
        self._read = _reader(tuple(self.texts))
        self._flat = not any((self.lists, self.documents, self.parts, self.groups))

    @property
    def anything(self) -> bool:
        """Whether there is a text in this type at all."""
        return bool(self.texts) or not self._flat

    def gather(self, struct: Any, texts: list[tuple[str, str]]) -> None:
        """Add the texts of a struct, with their keys."""
        texts += [text for text in zip(self._keys, self._read(struct), strict=True) if text[1]]
        if self._flat:
            return
        for field, key in self.lists.items():
            texts += [(key, value) for value in getattr(struct, field)]
        for field, key in self.documents.items():
            texts.append((key, msgspec.json.encode(getattr(struct, field)).decode()))
        for field, plan in self.parts.items():
            if (part := getattr(struct, field)) is not None:
                plan.gather(part, texts)
        for field, plan in self.groups.items():
            for part in getattr(struct, field):
                plan.gather(part, texts)

    def replace(self, struct: _T, values: Iterator[str]) -> _T:
        """Return a struct with other texts: as many as were gathered, in that order."""
        changed: dict[str, Any] = {}
        for field, value in zip(self.texts, self._read(struct), strict=True):
            if value:
                changed[field] = next(values)
        for field in self.lists:
            changed[field] = tuple([next(values) for _ in getattr(struct, field)])
        for field in self.documents:
            changed[field] = _document(next(values))
        for field, plan in self.parts.items():
            if (part := getattr(struct, field)) is not None:
                changed[field] = plan.replace(part, values)
        for field, plan in self.groups.items():
            changed[field] = tuple([plan.replace(part, values) for part in getattr(struct, field)])
        return msgspec.structs.replace(struct, **changed)


def plan_of(type_: type[msgspec.Struct]) -> Plan:
    """Return the plan of a type, made once."""
    plan = _PLANS.get(type_)
    if plan is None:
        plan = _PLANS[type_] = Plan(type_)
    return plan


def said_in(facts: Facts) -> list[tuple[str, str]]:
    """Return the texts of a task's facts, each behind its key."""
    texts: list[tuple[str, str]] = []
    _FACTS.gather(facts, texts)
    return texts


def gather(facts: Facts) -> Gathered:
    """Return the texts of a task's facts in the same order, with the spans that said them."""
    gathered = Gathered([], [])
    for field, plan in _FACTS.parts.items():
        if (part := getattr(facts, field)) is not None:
            gather_from(part, plan, gathered)
    for field, plan in _FACTS.groups.items():
        for part in getattr(facts, field):
            gather_from(part, plan, gathered)
    return gathered


def gather_from(part: Any, plan: Plan, gathered: Gathered) -> None:
    """Add the texts of one fact."""
    gathered.spans.append((len(gathered.texts), part.span_id if plan.owned else ""))
    texts: list[tuple[str, str]] = []
    plan.gather(part, texts)
    gathered.texts.extend(map(Text._make, texts))


def replace(facts: Facts, values: list[str]) -> Facts:
    """Return facts with other texts: as many as were gathered, in that order."""
    return _FACTS.replace(facts, iter(values))


def spans_of(numbers: Sequence[int], gathered: Gathered) -> list[str]:
    """Return which spans said these texts."""
    begins: Mapping[int, str] = dict(gathered.spans)
    owners: list[str] = []
    owner = ""
    for number in range(len(gathered.texts)):
        owner = begins.get(number, owner)
        owners.append(owner)
    return [owners[number] for number in numbers]


def _document(value: str) -> tuple[dict[str, Any], ...]:
    """Read a document again; one that was withheld is no document any more, and holds nothing."""
    try:
        return msgspec.json.decode(value, type=tuple[dict[str, Any], ...])
    except msgspec.DecodeError:
        return ()


def _taken_apart(hint: Any) -> tuple[Any, bool]:
    """Return what a field holds, without None, and whether it holds many of it."""
    if isinstance(hint, UnionType):
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    return hint, False


def _reader(fields: tuple[str, ...]) -> Any:
    """Return a function that reads these fields at once."""
    if not fields:
        return lambda _: ()
    get = attrgetter(*fields)
    return get if len(fields) > 1 else lambda struct: (get(struct),)


_PLANS: Final[dict[type[msgspec.Struct], Plan]] = {}
_FACTS: Final = plan_of(Facts)
